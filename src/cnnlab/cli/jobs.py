"""The jobs of one command: where each works, what is left of one that failed, and what is told of it."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.types import RunMode

from cnnlab.errors import UserError
from cnnlab.runs import run_folder
from cnnlab.runs.commands import short_path


class Jobs:
    """What became of them; Hydra itself would tell a single failure twice, and of a grid's the first alone.

    Args:
        in_one_line: what a user needs to know of an error.

    Attributes:
        folder: of the last one that was begun.
    """

    def __init__(self, in_one_line: Callable[[Exception], str]) -> None:
        self.folder = Path()
        self._in_one_line = in_one_line
        self._num_begun = 0
        self._failure: Exception | None = None
        self._told: list[str] = []

    def begin(self, folder: Path) -> None:
        self.folder = folder
        self._num_begun += 1

    def fail(self, error: Exception, settings: Any) -> bool:
        """Tidy up after the job that was begun last: what came to nothing leaves nothing.

        A job of a grid is told at once and keeps its folder, with error.txt; the others are to have their turn.

        Args:
            settings: Hydra's, of the job.

        Returns:
            Whether the failure is kept here, for raise_failures; otherwise it is Hydra's.
        """
        has_folder = settings.output_subdir is not None  # a command without one of its own leaves nothing
        in_grid = settings.mode == RunMode.MULTIRUN and run_folder.is_plain_grid(settings)
        if not isinstance(error, UserError):
            if has_folder:
                trace = "".join(traceback.format_exception(error))
                (self.folder / "traceback.txt").write_text(trace, encoding="utf-8")
        elif not (in_grid and has_folder):
            run_folder.discard_if_empty(self.folder, settings.output_subdir, f"{settings.job.name}.log")
        if settings.mode == RunMode.RUN:
            self._failure = error
            return True
        if not in_grid:
            return False
        line = self._in_one_line(error)
        if has_folder:
            (self.folder / "error.txt").write_text(f"{line}\n", encoding="utf-8")
            line += f" (kept in {short_path(self.folder)})"
        line = f"job {settings.job.num}, {' '.join(settings.overrides.task)}: {line}"
        print(f"error: {line}", file=sys.stderr, flush=True)
        self._told.append(line)
        # Other launchers run the job in another process, from which only the error gets back.
        return bool(settings.launcher["_target_"].endswith("BasicLauncher"))

    def raise_failures(self) -> None:
        """Raise what a single job failed of, or a UserError with all failures of a grid."""
        if self._failure is not None:
            raise self._failure
        if self._told:
            raise UserError("\n  ".join([f"{len(self._told)} of {self._num_begun} jobs failed:", *self._told]))
