"""Runs trials, each in a process of its own.

An executor starts a job in a slot and tells what happens to it; the search's loop knows nothing else of it. Another
one could hand the jobs to a cluster's launcher.
"""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from async_optuna import watchdog
from async_optuna.errors import SearchError
from async_optuna.forkserver import start, start_server
from async_optuna.outcome import Outcome
from async_optuna.remote_call import call_and_send
from async_optuna.slots import Slot
from async_optuna.trial_processes import DEATH_SECONDS, TrialProcess, TrialProcesses
from async_optuna.worker import Job, Task

# A signal to all processes of a job may end a trial before this one hears of it: so long bad news is kept back, for a
# trial that was stopped has not failed.
_HEARING_SECONDS = 0.5

# A trial that hangs writes down where before it is killed.
_TRACE_SECONDS = 0.2

OnReport = Callable[[int, float, int, int | None], str | None]


@dataclass(frozen=True)
class Ended:
    """A trial's process is gone.

    Attributes:
        outcome: what it left, None if it died before it could.
        reason: why it is gone, where there is no outcome.
    """

    number: int
    slot: Slot
    outcome: Outcome | None
    reason: str = ""


class Executor(Protocol):
    """Runs jobs in slots.

    Attributes:
        slots: all of them.
        on_report: called with (number, value, step, number of steps if known) for every report; its answer goes back
            to the trial.
    """

    slots: Sequence[Slot]
    on_report: OnReport

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function returns where the trials will run; raise SearchError with what it raised."""

    def start(self, slot: Slot, job: Job) -> None:
        """Run a job in a free slot."""

    def wait(self, seconds: float) -> Iterator[Ended]:
        """Serve running trials for up to so long, or until one ends; yield those that ended."""

    def end(self, number: int, reason: str) -> Ended | None:
        """End a trial that hangs: it has failed for that reason, unless it left an outcome. None if it has ended."""

    def stop(self, grace_seconds: float) -> Iterator[Ended]:
        """Ask all trials to end, then make them; yield every one that had not ended."""

    def kill(self) -> None:
        """End all trials at once."""

    def close(self) -> None:
        """No further trial is to be run for now."""


@dataclass
class _Running:
    job: Job
    slot: Slot
    worker: TrialProcess
    began: float


class ProcessExecutor:
    """A process per trial, forked from one that has the preloaded modules: imports are paid once.

    Args:
        task: runs a job; it is pickled.
        preload: modules to import once. They must not touch CUDA: what is forked after that cannot use it.
        bind: makes of it the task of one job; called here, for what takes time and is much the same for all jobs.
    """

    def __init__(
        self,
        task: Task,
        slots: Sequence[Slot],
        preload: Sequence[str] = (),
        bind: Callable[[Job], Task] | None = None,
    ) -> None:
        self.slots = slots
        self.on_report: OnReport = go_on
        self._task = task
        self._bind = bind
        self._running: dict[int, _Running] = {}
        self._bad_news: deque[tuple[float, Ended]] = deque()
        self._context = multiprocessing.get_context("forkserver")
        start_server(self._context, ["async_optuna.worker", *preload], slots[0].num_threads)
        self._processes = TrialProcesses(self._context)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        here, there = self._context.Pipe()
        process = self._context.Process(target=call_and_send, args=(there, dict(os.environ), function, arguments))
        try:
            start(process)
            there.close()
            result, error = here.recv()
        except EOFError:
            process.join()
            raise SearchError(f"the check before the first trial died with exit status {process.exitcode}") from None
        except BaseException:  # Ctrl-C: Python would wait for it at the end
            if process.pid is not None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.kill()
            raise
        finally:
            here.close()
        process.join()
        if error is not None:
            raise SearchError(error)
        return result

    def start(self, slot: Slot, job: Job) -> None:
        # The process that trials are forked from has the environment of its own start.
        share = {"OMP_NUM_THREADS": str(slot.num_threads)}
        job = replace(job, environment={**share, **os.environ, **job.environment})
        task = self._bind(job) if self._bind else self._task
        worker = self._processes.take()
        self._running[job.number] = _Running(job, slot, worker, time.monotonic())
        worker.run(task, job)

    def wait(self, seconds: float) -> Iterator[Ended]:
        if self._bad_news:
            seconds = min(seconds, _HEARING_SECONDS)
        if self._running:
            self._processes.keep_one_ready()
        else:
            time.sleep(seconds)
        waited_for: dict[Any, _Running] = {}
        for running in self._running.values():
            waited_for[running.worker.process.sentinel] = running
            if not running.worker.connection.closed:
                waited_for[running.worker.connection] = running
        for ready in wait(list(waited_for), seconds) if waited_for else ():
            running = waited_for[ready]
            if isinstance(ready, Connection):
                self._answer(running)
            elif self._running.get(running.job.number) is running:
                ended = self._collect(running)
                if ended.outcome is not None and ended.outcome.state != "FAIL":
                    yield ended
                else:
                    self._bad_news.append((time.monotonic(), ended))
        while self._bad_news and time.monotonic() - self._bad_news[0][0] >= _HEARING_SECONDS:
            yield self._bad_news.popleft()[1]

    def end(self, number: int, reason: str) -> Ended | None:
        if number not in self._running:
            return None
        running = self._running[number]
        outcome = Outcome.read(running.job.folder)  # it may hang on its way out
        with suppress(ProcessLookupError):
            os.kill(running.worker.pid, signal.SIGQUIT)
        time.sleep(_TRACE_SECONDS)
        running.worker.kill_group(signal.SIGKILL)
        running.worker.process.kill()
        failed = Outcome("FAIL", reason=reason, seconds=time.monotonic() - running.began)
        return replace(self._collect(running), outcome=outcome or failed)

    def stop(self, grace_seconds: float) -> Iterator[Ended]:
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        for running in self._running.values():
            running.worker.process.join(max(0.0, deadline - time.monotonic()))
        self.kill()
        for running in list(self._running.values()):
            yield self._collect(running)
        while self._bad_news:
            yield self._bad_news.popleft()[1]

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        for running in self._running.values():
            running.worker.process.join(DEATH_SECONDS)
        self.close()

    def close(self) -> None:
        self._processes.end_spare()

    def _answer(self, running: _Running) -> None:
        try:
            value, step, num_steps = running.worker.connection.recv()
        except (EOFError, OSError):  # it died; its sentinel says so
            running.worker.connection.close()
            return
        answer = self.on_report(running.job.number, value, step, num_steps)
        with suppress(OSError):
            running.worker.connection.send(answer)

    def _collect(self, running: _Running) -> Ended:
        running.worker.process.join(DEATH_SECONDS)
        del self._running[running.job.number]
        running.worker.connection.close()
        running.worker.kill_group(signal.SIGKILL)  # what the trial may have started itself
        watchdog.forget(running.worker.pid)
        code = running.worker.process.exitcode
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"gone with exit status {code}"
        if code is not None:
            running.worker.process.close()
        return Ended(running.job.number, running.slot, Outcome.read(running.job.folder), f"its process was {how}")

    def _signal(self, signum: int) -> None:
        for running in self._running.values():
            if not running.worker.kill_group(signum) and running.worker.process.is_alive():
                with suppress(ProcessLookupError):  # dead already, which its sentinel does not tell yet
                    os.kill(running.worker.pid, signum)


def go_on(number: int, value: float, step: int, num_steps: int | None) -> None:
    """Before a search listens, every trial may go on."""
