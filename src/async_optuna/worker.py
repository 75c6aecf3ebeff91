"""The process of one trial, from its start to the file that records its outcome."""

import faulthandler
import io
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from optuna import TrialPruned

from async_optuna import trial
from async_optuna.constraints import Constraints
from async_optuna.errors import first_line
from async_optuna.external_failures import is_external
from async_optuna.files import FileLock
from async_optuna.outcome import Outcome

TRACEBACK = "traceback.txt"
OUTPUT = "output.log"


@dataclass(frozen=True)
class Job:
    """All that a process needs to know about its trial.

    Attributes:
        number: the trial's number, which names its folder.
        overrides: what the trial is given on top of the config.
        folder: the trial's own.
        num_values: how many objectives the task must return.
        environment: what the process is to see as its environment, with its own CUDA_VISIBLE_DEVICES.
        limits: the search's limits to metrics.
        trial_folder: that of the whole trial, where this is one of its runs.
    """

    number: int
    overrides: Sequence[str]
    folder: Path
    num_values: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Constraints = field(default_factory=Constraints)
    trial_folder: Path | None = None


# Runs a job in this process and returns what the task returned; whatever it raises is the trial's failure.
Task = Callable[[Job], Any]


def run_when_told(connection: Connection) -> None:
    """Wait for a job and its task, and run it as the only purpose of this process: dead with its parent."""
    os.setsid()
    threading.Thread(target=die_with_parent, daemon=True).start()
    try:
        task, job = connection.recv()
    except (EOFError, OSError):  # no further trial is needed
        return
    multiprocessing.current_process().name = f"trial-{job.number}"
    run_in_process(task, job, connection)


def run_in_process(task: Task, job: Job, connection: Connection) -> None:
    """Run a job with its own output file, and end when the controller asks for it."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _stop)
    become(job.environment)
    own = FileLock(job.trial_folder or job.folder)
    with suppress(OSError):  # a file system that locks no folders (NFS) must not stop a trial
        own.acquire()
    with (job.folder / OUTPUT).open("ab") as output:
        for descriptor in (1, 2):
            os.dup2(output.fileno(), descriptor)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # For who watches the file, and for what a kill would swallow; in whatever encoding the system has.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")

    faulthandler.enable(file=2)
    faulthandler.register(signal.SIGQUIT, file=2, chain=False)  # the controller asks where a trial hangs

    def ask(value: float, step: int) -> str | None:
        try:
            connection.send((value, step, num_steps()))
            answer: str | None = connection.recv()
        except (EOFError, OSError):  # the controller is gone, which is not the task's error
            _end_all()
        return answer

    try:
        run(task, job, ask)
    except _Stopped:
        os._exit(128 + signal.SIGTERM)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def num_steps() -> int | None:
    """How many steps the trial of this process will report, if it has said so."""
    current = trial.current()
    return None if current is None else current.num_steps


def become(environment: Mapping[str, str]) -> None:
    """Take on an environment as a whole."""
    os.environ.clear()
    os.environ.update(environment)


def run(task: Task, job: Job, ask: trial.Report) -> Outcome:
    """Run a job and write its outcome into its folder; only what is no Exception gets through."""
    running = trial.RunningTrial(job.number, ask, job.limits)
    trial.enter(running)
    began = time.perf_counter()
    try:
        outcome = _outcome(task(job), job.num_values, running.pruned)
    except TrialPruned as pruned:
        outcome = Outcome("PRUNED", reason=str(pruned) or running.pruned or "the task said so")
    except (Exception, SystemExit) as error:  # a task that calls sys.exit would do so again
        reason = f"{type(error).__name__}: {first_line(error)}"
        if getattr(error, "infeasible", False):  # a point that cannot be, rather than a run that went wrong
            outcome = Outcome("PRUNED", reason=first_line(error))
        else:
            text = "".join(traceback.format_exception(error))
            with suppress(OSError):  # a full disk, which may be the error itself
                (job.folder / TRACEBACK).write_text(text, encoding="utf-8")
            outcome = Outcome("FAIL", reason=reason, external=is_external(error, job.folder))
    finally:
        trial.enter(None)
    _add_what_was_set(outcome, running, job.limits)
    outcome.seconds = time.perf_counter() - began
    outcome.write(job.folder)
    return outcome


def _add_what_was_set(outcome: Outcome, running: trial.RunningTrial, limits: Constraints) -> None:
    if outcome.state == "COMPLETE" and (missing := limits.missing(running.metrics)):
        outcome.state, outcome.values, outcome.reason = "FAIL", None, missing
    outcome.user_attrs, outcome.metrics = running.user_attrs, running.metrics
    outcome.constraints, outcome.infeasible = limits.judge(running.metrics, running.constraints)


def _outcome(returned: Any, num_values: int, pruned: str | None) -> Outcome:
    if pruned is not None:
        return Outcome("PRUNED", reason=pruned)
    expected = "a number" if num_values == 1 else f"{num_values} numbers"
    values = list(returned) if isinstance(returned, list | tuple) else [returned]
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        return Outcome("FAIL", reason=f"the task must return {expected}, got {returned!r}")
    if len(numbers) != num_values:
        return Outcome("FAIL", reason=f"the task must return {expected}, got {len(numbers)}")
    if any(math.isnan(number) for number in numbers):
        return Outcome("FAIL", reason=f"the task returned NaN ({returned!r})")
    return Outcome("COMPLETE", numbers)


class _Stopped(BaseException):
    """The controller asks this process to end."""


def _stop(signum: int, frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_IGN)
    raise _Stopped


def die_with_parent() -> None:
    """Kill this process and all it has started as soon as the controller is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        _end_all()


def _end_all() -> NoReturn:
    with suppress(ProcessLookupError):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
