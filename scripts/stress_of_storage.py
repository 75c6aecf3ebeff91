"""The parts of sweep_stress.py about what is written: disk, database and hosts."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from optuna.trial import TrialState
from tqdm import tqdm

from postgresql_server import running_server, what_is_missing
from stress_checks import Checks, check, in_state
from toy_study import Process, ToyStudy

_PATIENCE = 600.0
_REPORTS = ["seconds=1", "steps=10", "report=true"]
_DEAD_AFTER = 4.0  # seconds


class Size(Protocol):
    """How much of everything."""

    @property
    def repetitions(self) -> int: ...


def disk(folder: Path, size: Size, shuffle: random.Random, checks: Checks) -> None:
    """The disk of the sweep folder is full for some seconds."""
    if os.geteuid() != 0:
        print("disk is left out: only root can mount a small one")
        return
    for repetition in tqdm(range(size.repetitions), desc="disk", disable=not sys.stderr.isatty()):
        study = ToyStudy(folder / str(repetition), 12, 2, _REPORTS)
        study.folder.mkdir(parents=True)
        with _mounted(study.folder):
            process = study.start()
            _wait_for_a_trial(process, study, shuffle.uniform(0.0, 1.5))
            with _full(study.folder):
                time.sleep(shuffle.uniform(4.0, 8.0))
            checks.equal("exit status at the end", process.wait(_PATIENCE), 0)
            checks.equal("trials that failed", _num_failed(study), 0)
            check(study, checks)


def database(folder: Path, size: Size, shuffle: random.Random, checks: Checks) -> None:
    """PostgreSQL stops in the middle of a search and comes back some seconds later."""
    if missing := what_is_missing():
        print(f"database is left out: this needs {missing}")
        return
    with running_server() as server:
        for repetition in tqdm(range(size.repetitions), desc="database", disable=not sys.stderr.isatty()):
            study = ToyStudy(folder / str(repetition), 8, 2, _REPORTS, server.url, f"toy{repetition}")
            process = study.start()
            _wait_for_a_trial(process, study, shuffle.uniform(0.0, 1.5))
            numbers = _process_numbers(study)
            server.call("stop", "-m", "fast")
            time.sleep(shuffle.uniform(1.0, 5.0))
            alive = numbers & _process_numbers(study)
            server.start()
            checks.equal("the search lives while the database is away", process.pid in alive, True)
            checks.equal("exit status at the end", process.wait(_PATIENCE), 0)
            checks.equal("trials that were run twice", _num_interrupted(study), 0)
            checks.equal("trials that failed", _num_failed(study), 0)
            check(study, checks)


def hosts(folder: Path, size: Size, shuffle: random.Random, checks: Checks) -> None:
    """Two hosts, which share a database and no folder; trials run longer than a silent host is waited for."""
    for repetition in tqdm(range(size.repetitions), desc="hosts", disable=not sys.stderr.isatty()):
        place = folder / str(repetition)
        place.mkdir(parents=True)
        settings = [f"seconds={1.5 * _DEAD_AFTER}", f"hydra.sweeper.dead_after_seconds={_DEAD_AFTER}"]
        url = f"sqlite:///{place.absolute()}/study.db"
        studies = [ToyStudy(place / host, 6, 1, settings, url) for host in ("one", "other")]
        processes = []
        for study in studies:
            processes.append(study.start())
            _wait_for_a_trial(processes[-1], study, shuffle.uniform(0.0, 1.0))
        for process in processes:
            checks.equal("exit status at the end", process.wait(_PATIENCE), 0)
        checks.equal("trials taken for dead", _num_interrupted(studies[0]), 0)
        checks.equal("trials on both hosts", all(study.trial_folders() for study in studies), True)
        for study in studies:
            check(study, checks)


@contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    """A disk of its own for a folder, with little room."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def _full(folder: Path) -> Iterator[None]:
    ballast = folder / ".ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
    except OSError:
        yield
    ballast.unlink()


def _wait_for_a_trial(process: Process, study: ToyStudy, seconds: float) -> None:
    """Wait until so long after the first trial has begun."""
    while not study.has_begun_a_trial() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(seconds)


def _process_numbers(study: ToyStudy) -> set[int]:
    return set(study.processes())


def _num_interrupted(study: ToyStudy) -> int:
    return sum(bool(trial.user_attrs.get("interrupted")) for trial in study.trials())


def _num_failed(study: ToyStudy) -> int:
    return in_state(study, TrialState.FAIL) - _num_interrupted(study)
