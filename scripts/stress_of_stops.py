"""The parts of sweep_stress.py about trials and terminals that go away or do not: group, hangup, hang, reports."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import yaml
from optuna.trial import FrozenTrial, TrialState
from tqdm import tqdm

from stress_checks import GONE_WITHIN, Checks, check, in_state
from toy_study import Process, ToyStudy

_PATIENCE = 600.0
_REPORTS = ["seconds=0.8", "steps=200", "report=true"]  # without pause: the moment of the stop meets a report
_SILENT = 8.0  # seconds after which a trial is taken to hang; on a busy machine others need some to begin


class Size(Protocol):
    """How much of everything."""

    @property
    def repetitions(self) -> int: ...


def group(folder: Path, size: Size, shuffle: random.Random, checks: Checks) -> None:
    """SIGTERM to all processes, in any order, as Slurm and systemd send it."""

    def terminate(process: Process, study: ToyStudy) -> None:
        everybody = list(study.processes())
        shuffle.shuffle(everybody)
        for one in everybody:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGTERM)

    _stop_each(folder, size, shuffle, checks, terminate, 143, in_terminal=False)


def hangup(folder: Path, size: Size, shuffle: random.Random, checks: Checks) -> None:
    """The terminal is closed: SIGHUP, and every further line of output is an error."""

    def close(process: Process, study: ToyStudy) -> None:
        study.close_terminal()

    _stop_each(folder, size, shuffle, checks, close, 129, in_terminal=True)


def reports(folder: Path, size: Size, shuffle: random.Random, checks: Checks) -> None:
    """kill -9 of the controller while its trials report without pause."""

    def kill(process: Process, study: ToyStudy) -> None:
        process.kill()

    _stop_each(folder, size, shuffle, checks, kill, -signal.SIGKILL, in_terminal=False)


def _stop_each(
    folder: Path,
    size: Size,
    shuffle: random.Random,
    checks: Checks,
    stop: Callable[[Process, ToyStudy], None],
    status: int,
    in_terminal: bool,
) -> None:
    """Stop a search four times, and let the fifth call finish it."""
    for repetition in tqdm(range(size.repetitions), desc=folder.name, disable=not sys.stderr.isatty()):
        study = ToyStudy(folder / str(repetition), 8, 2, _REPORTS)
        for _ in range(4):
            process = study.start(in_terminal)
            if not _runs_for(shuffle.uniform(0.0, 0.8), process, study):
                break
            stop(process, study)
            checks.equal("exit status when stopped", process.wait(_PATIENCE), status)
            checks.at_most("last process gone after", study.seconds_until_gone(), GONE_WITHIN)
            if status == -signal.SIGKILL:
                continue  # the next call settles what was running
            checks.equal("RUNNING trials left", in_state(study, TrialState.RUNNING), 0)
            written = yaml.safe_load((study.folder / "optimization_results.yaml").read_text(encoding="utf-8"))
            checks.equal('"running" in optimization_results.yaml', written["counts"]["running"], 0)
        checks.equal("exit status at the end", study.start().wait(_PATIENCE), 0)
        trials = study.trials()
        checks.equal("retries used up", sum(trial.user_attrs.get("retries", 0) for trial in trials), 0)
        checks.equal("trials that failed", sum(_has_failed(trial) for trial in trials), 0)
        check(study, checks)


def hang(folder: Path, size: Size, shuffle: random.Random, checks: Checks) -> None:
    """One trial hangs: the search ends it, or is killed beside it and goes on."""
    for repetition in tqdm(range(size.repetitions), desc=folder.name, disable=not sys.stderr.isatty()):
        kind = ("waits", "holds")[repetition % 2]
        is_killed = repetition % 4 < 2
        silent = 0 if is_killed else _SILENT
        limits = [f"hydra.sweeper.no_report_seconds={silent}", "hydra.sweeper.max_failure_rate=0.9"]
        study = ToyStudy(folder / str(repetition), 8, 2, ["seconds=0.2", f"hangs={kind}", "hanging_trial=2", *limits])
        process = study.start()
        if is_killed:
            while not (study.folder / "2" / "hangs").exists() and process.poll() is None:
                time.sleep(0.01)
            process.kill()
            process.wait()
            checks.at_most("last process gone after kill -9", study.seconds_until_gone(), GONE_WITHIN)
            process = study.start()
        began = time.monotonic()
        checks.equal("exit status at the end", process.wait(_PATIENCE), 0)
        checks.at_most("ended after", time.monotonic() - began, 60.0)
        failed = [trial.user_attrs["reason"] for trial in study.trials() if _has_failed(trial)]
        what = "beside a killed search" if is_killed else "in a living search"
        checks.equal(f"failures because of a hang {what}", sum("it hung" in reason for reason in failed), 1 - is_killed)
        checks.equal("other failures", sum("it hung" not in reason for reason in failed), 0)
        check(study, checks)


def _has_failed(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and not trial.user_attrs.get("interrupted")


def _runs_for(seconds: float, process: Process, study: ToyStudy) -> bool:
    """Wait until so long after the first trial began; False if the search has ended by then."""
    while not study.has_begun_a_trial() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    return process.poll() is None
