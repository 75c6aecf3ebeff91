"""The outcome of a trial, which its process writes into a file before it ends."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage

from async_optuna.errors import shortened
from async_optuna.files import write_atomically
from async_optuna.optuna_internals import CONSTRAINT
from async_optuna.outage import is_passing
from async_optuna.trial import METRIC

FILE = "trial.json"

_PATIENCE = 600.0  # seconds


@dataclass
class Outcome:
    """The end of a trial.

    Attributes:
        state: COMPLETE, PRUNED or FAIL, as Optuna names them.
        values: the objectives, of a complete trial.
        reason: why it was pruned or failed.
        seconds: how long it ran.
        user_attrs, metrics: what the task has set.
        constraints: by how much it misses each constraint; at most 0 where it does not.
        infeasible: which constraints it misses, in words; "" for none.
        external: whether it failed for a reason that may lie outside it, such as missing data.
    """

    state: str
    values: list[float] | None = None
    reason: str = ""
    seconds: float = 0.0
    user_attrs: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    constraints: dict[str, float] = field(default_factory=dict)
    infeasible: str = ""
    external: bool = False

    def __post_init__(self) -> None:
        self.reason = shortened(self.reason)

    def write(self, folder: Path) -> None:
        """Write it into the trial's folder, as soon as a disk that is full for a moment has room for it.

        Raises:
            OSError: if it cannot be written for another reason, or for too long.
        """
        content = (json.dumps(asdict(self)) + "\n").encode()
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return write_atomically(folder / FILE, content)
            except OSError as error:
                if not is_passing(error) or time.monotonic() > deadline:
                    raise
                time.sleep(1)

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

    def record(self, storage: BaseStorage, trial_id: int) -> None:
        """Write into the study what belongs to a trial beside its state and value."""
        attributes = {**self.user_attrs, **{METRIC + name: value for name, value in self.metrics.items()}}
        attributes["seconds"] = round(self.seconds, 3)
        for name in ("reason", "infeasible"):
            if text := getattr(self, name):
                attributes[name] = text
        for name, value in attributes.items():
            storage.set_trial_user_attr(trial_id, name, value)
        for name, value in self.constraints.items():
            storage.set_trial_system_attr(trial_id, CONSTRAINT + name, value)
