"""Runs trials one after the other in this process."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from async_optuna.executors import Ended, OnReport, go_on
from async_optuna.slots import Slot
from async_optuna.worker import Job, Task, num_steps, run


class InlineExecutor:
    """One trial after the other in this very process: for tasks that no other process can import."""

    def __init__(self, task: Task) -> None:
        self.slots: Sequence[Slot] = [Slot(0)]
        self.on_report: OnReport = go_on
        self._task = task
        self._ended: deque[Ended] = deque()
        self._current: tuple[Job, Slot] | None = None

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    def start(self, slot: Slot, job: Job) -> None:
        self._current = (job, slot)
        outcome = run(self._task, job, lambda value, step: self.on_report(job.number, value, step, num_steps()))
        self._current = None
        self._ended.append(Ended(job.number, slot, outcome))

    @property
    def is_running(self) -> bool:
        return self._current is not None

    def wait(self, seconds: float) -> Iterator[Ended]:
        if not self._ended:
            time.sleep(seconds)
        while self._ended:
            yield self._ended.popleft()

    def end(self, number: int, reason: str) -> Ended | None:
        return None  # nobody is there to end it while it runs

    def stop(self, grace_seconds: float) -> Iterator[Ended]:
        while self._ended:
            yield self._ended.popleft()
        if self._current is not None:
            job, slot = self._current
            self._current = None
            yield Ended(job.number, slot, None, "it was stopped")

    def kill(self) -> None:
        """Nothing outlives this process."""

    def close(self) -> None:
        """Nothing waits for a trial."""
