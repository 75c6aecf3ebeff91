"""The outcome of a trial, which its process writes into a file before it ends."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from async_optuna.files import write_atomically

FILE = "trial.json"


@dataclass
class Outcome:
    """The end of a trial.

    Attributes:
        state: COMPLETE, PRUNED or FAIL, as Optuna names them.
        values: the objectives, of a complete trial.
        reason: why it was pruned or failed.
        seconds: how long it ran.
    """

    state: str
    values: list[float] | None = None
    reason: str = ""
    seconds: float = 0.0

    def write(self, folder: Path) -> None:
        write_atomically(folder / FILE, (json.dumps(asdict(self)) + "\n").encode())

    @classmethod
    def read(cls, folder: Path) -> "Outcome | None":
        """Return what a trial's process wrote, None if it died before.

        Raises:
            PermissionError: if another user hides it, which does not mean that there is nothing.
        """
        try:
            return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        except PermissionError:
            raise
        except (OSError, ValueError, TypeError):
            return None
