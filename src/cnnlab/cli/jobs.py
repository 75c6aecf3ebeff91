"""The jobs of one command: their folders, and the cleaning up and the messages after one has failed."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig

from cnnlab.cli.grid import Job
from cnnlab.errors import UserError
from cnnlab.overrides import as_typed
from cnnlab.runs import run_folder
from cnnlab.runs.commands import short_path


class Jobs:
    """Keeps the failures until the end. Hydra would print a single failure twice, and only the first one of a grid.

    Args:
        in_one_line: turns an error into the message for the user.

    Attributes:
        folder: the folder of the job that started last.
        of_grid: the jobs so far, if they belong to a grid of runs.
    """

    def __init__(self, in_one_line: Callable[[Exception], str]) -> None:
        self.folder = Path()
        self._in_one_line = in_one_line
        self._num_begun = 0
        self.of_grid: list[Job] = []
        self._failure: Exception | None = None
        self._failures_of_grid: list[str] = []

    def begin(self, folder: Path, config: DictConfig, settings: Any) -> None:
        """Note that a job starts.

        Args:
            config, settings: the job's config and Hydra's settings of the job.
        """
        self.folder = folder
        self._num_begun += 1
        if settings.mode == RunMode.MULTIRUN and run_folder.is_plain_grid(settings):
            overrides = list(settings.overrides.task)
            self.of_grid.append(Job(folder, overrides, str(config.get("monitor")), config.get("mode")))

    def fail(self, error: Exception, settings: Any) -> bool:
        """Clean up after the job that started last: one that has produced nothing leaves no folder behind.

        A failed job of a grid is reported at once and keeps its folder, with error.txt; the other jobs still run.

        Args:
            settings: Hydra's settings of the job.

        Returns:
            Whether the failure is kept here for raise_failures; otherwise the caller must raise it.
        """
        has_folder = settings.output_subdir is not None  # a command that only reads runs has none of its own
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
        line = f"job {settings.job.num}, {' '.join(as_typed(settings.overrides.task))}: {line}"
        print(f"error: {line}", file=sys.stderr, flush=True)
        self._failures_of_grid.append(line)
        # Other launchers run the job in another process, from which only a raised error returns.
        return bool(settings.launcher["_target_"].endswith("BasicLauncher"))

    def raise_failures(self) -> None:
        """Raise the error of a single job, or a UserError that lists all failures of a grid."""
        if self._failure is not None:
            raise self._failure
        if self._failures_of_grid:
            raise UserError(
                "\n  ".join(
                    [f"{len(self._failures_of_grid)} of {self._num_begun} jobs failed:", *self._failures_of_grid]
                )
            )
