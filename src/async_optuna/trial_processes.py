"""Starts the processes of trials, and keeps one ready that becomes the next trial's the moment its job is known.

To fork a process and to run the app's main module in it takes longer than all else between two trials; it is done while
others still run. The process that waits has taken no trial: it may be killed, or never be used.
"""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

from async_optuna import watchdog
from async_optuna.forkserver import start
from async_optuna.worker import Job, Task, run_when_told

# A killed process is gone at once, unless the kernel waits for a disk or a network on its behalf.
DEATH_SECONDS = 10.0


@dataclass
class TrialProcess:
    """A process that runs one job once it is told which."""

    process: BaseProcess
    connection: Connection

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    def run(self, task: Task, job: Job) -> None:
        with suppress(ConnectionError):  # it has died, which its sentinel tells
            self.connection.send((task, job))

    def kill_group(self, signum: int) -> bool:
        """Signal the process and all it has started; False if it has no group of its own (yet)."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signum)
            return True
        return False


class TrialProcesses:
    """Forks processes for trials.

    Args:
        context: multiprocessing's, of the start method "forkserver".
    """

    def __init__(self, context: BaseContext) -> None:
        self._context = context
        self._spare: TrialProcess | None = None

    def keep_one_ready(self) -> None:
        """Fork the next one, unless one waits."""
        if self._spare is None:
            self._spare = self._fork()

    def take(self) -> TrialProcess:
        """The one that waits, if it still lives, or a new one."""
        if self._spare is not None and not self._spare.process.is_alive():
            self.end_spare()
        spare, self._spare = self._spare or self._fork(), None
        return spare

    def end_spare(self) -> None:
        """End the one that waits: it has nothing to lose."""
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.kill_group(signal.SIGKILL)
            spare.process.kill()
            spare.process.join(DEATH_SECONDS)
            spare.connection.close()
            watchdog.forget(spare.pid)

    def _fork(self) -> TrialProcess:
        here, there = self._context.Pipe()
        process = self._context.Process(target=run_when_told, args=(there,))  # type: ignore[attr-defined]
        start(process)
        watchdog.watch(process.pid or 0)
        there.close()
        return TrialProcess(process, here)
