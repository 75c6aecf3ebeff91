"""A search of scripts/sweep_toy.py as seen from outside: its processes, its study, its trials' folders."""

import fcntl
import os
import pty
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

TOY = Path(__file__).resolve().parent / "sweep_toy.py"

Process = subprocess.Popen[bytes]


# A trial's steps as epochs of a training; a retry goes on from its checkpoints.
TRAINING = ("trains=true", "steps=10", "hydra.sweeper.restart_key=init_from", "hydra.sweeper.preload=[toy_training]")


class ToyStudy:
    """One study, and everything that works on it.

    Args:
        folder: of the study; what its commands print goes into a file of the same name beside it.
        overrides: of the toy, on top of this many trials and slots.
        storage: the URL of a database; None: the journal in the folder.
        name: of the study, where the database holds several.
    """

    def __init__(
        self,
        folder: Path,
        n_trials: int,
        n_jobs: int,
        overrides: list[str],
        storage: str | None = None,
        name: str = "toy",
    ) -> None:
        self.folder = folder.absolute()
        self.n_trials = n_trials
        self._overrides = [f"hydra.sweep.dir='{self.folder}'", f"hydra.sweeper.n_jobs={n_jobs}", *overrides]
        self._overrides.append(f"hydra.sweeper.study_name={name}")
        if storage is not None:
            self._overrides.append(f"hydra.sweeper.storage='{storage}'")
        self._storage = storage
        self._name = name
        self._output = self.folder.with_name(f"{folder.name}.txt")
        self._mark = f"TOY_STUDY={uuid.uuid4().hex}"
        self._known: set[Path] = set()
        self._terminal: int | None = None

    def start(self, in_terminal: bool = False) -> Process:
        """Call the command, as the only thing in a session of its own, like a terminal's foreground job.

        Args:
            in_terminal: whether it is given a terminal, for close_terminal, instead of a file.
        """
        self._known = set(self.trial_folders())
        self._output.parent.mkdir(parents=True, exist_ok=True)
        if in_terminal:
            self._terminal, output = pty.openpty()
            setup: Callable[[], None] | None = _take_terminal
        else:
            output, setup = os.open(self._output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), None
        # No pipe: whatever outlives the process would hold it open.
        process = subprocess.Popen(
            self.command(),
            env=os.environ | self.mark(),
            stdin=output if in_terminal else None,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=setup,
        )
        os.close(output)
        return process

    def command(self) -> list[str]:
        """The command, with this interpreter in front."""
        return [sys.executable, str(TOY), "-m", f"hydra.sweeper.n_trials={self.n_trials}", *self._overrides]

    def mark(self) -> dict[str, str]:
        """What is in the environment of all its processes."""
        name, _, value = self._mark.partition("=")
        return {name: value}

    def close_terminal(self) -> None:
        """Close the window in which the command runs."""
        assert self._terminal is not None
        os.close(self._terminal)
        self._terminal = None

    def run(self) -> None:
        """Start it and wait for its end.

        Raises:
            RuntimeError: if it fails.
        """
        if status := self.start().wait():
            raise RuntimeError(f"exit status {status}: {self.output()[-1000:]}")

    def output(self) -> str:
        """What all calls so far have printed."""
        return self._output.read_text(encoding="utf-8")

    def trial_folders(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.name.isdigit()] if self.folder.is_dir() else []

    def has_begun_a_trial(self) -> bool:
        """Whether a trial that began after start() has come to its first line."""
        return any(begins(path) for path in self.trial_folders() if path not in self._known)

    def trials(self) -> list[FrozenTrial]:
        """All trials, as plain Optuna reads them."""
        if self._storage is not None:
            return optuna.load_study(study_name=self._name, storage=self._storage).get_trials(deepcopy=False)
        journal = self.folder / "study.journal"
        if not journal.exists():
            return []
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
        return [trial for study in storage.get_all_studies() for trial in storage.get_all_trials(study._study_id)]

    def pauses(self, trials: list[FrozenTrial]) -> list[float]:
        """Seconds from the last line of each of these trials to the first line of the next in the same slot."""
        slots: dict[int, list[FrozenTrial]] = {}
        for trial in trials:
            if trial.state == TrialState.COMPLETE:
                slots.setdefault(trial.user_attrs["slot"], []).append(trial)
        return [self.began(after) - self.ended(before) for slot in slots.values() for before, after in pairwise(slot)]

    def began(self, trial: FrozenTrial) -> float:
        """When the task came to its first line."""
        return begins(self.folder / str(trial.number))[0]

    def ended(self, trial: FrozenTrial) -> float:
        """When the task had returned and its process had written its last file."""
        return (self.folder / str(trial.number) / "trial.json").stat().st_mtime

    def processes(self) -> Iterator[int]:
        """Living processes of this study, from /proc: all inherit its mark, and a zombie has no environment left."""
        mark = self._mark.encode()
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)
            except OSError:  # gone, or somebody else's
                continue

    def workers(self) -> dict[int, int]:
        """The process of each running trial, known by where its output goes."""
        found = {}
        for process in self.processes():
            try:
                output = Path(os.readlink(f"/proc/{process}/fd/1"))
            except OSError:
                continue
            if output.parent.parent == self.folder and output.parent.name.isdigit():
                found[int(output.parent.name)] = process
        return found

    def seconds_until_gone(self, patience: float = 10.0) -> float:
        """Wait until no process of the study is left."""
        began = time.monotonic()
        while any(True for _ in self.processes()) and time.monotonic() - began < patience:
            time.sleep(0.01)
        return time.monotonic() - began


def _take_terminal() -> None:
    """Make standard input the terminal of this session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def begins(folder: Path) -> list[float]:
    """When the toy began in this folder: once, as it should be."""
    try:
        lines = (folder / "output.log").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [float(line.split()[0]) for line in lines if line.endswith(" begins")]


def epochs_begun(folder: Path) -> list[int]:
    """The epochs that a training has begun in this folder, in order, as its output says."""
    output = folder / "output.log"
    lines = output.read_text(encoding="utf-8").splitlines() if output.is_file() else []
    return [int(line.split()[1]) for line in lines if line.startswith("epoch ")]
