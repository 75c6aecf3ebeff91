"""Opens a sweep folder: the study in it and the engine's own summary."""

import json
import os
import re
import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

from cnnlab.errors import UserError, did_you_mean
from cnnlab.workbench.study_reports.study_storage import copy_of, read_study

RESULTS = "optimization_results.yaml"
_HERE = re.sub(r"[^\w.-]", "", socket.gethostname())[:60]  # as the search writes it down


@dataclass(frozen=True)
class Sweep:
    """A study as it was when it was read.

    Args:
        folder: the sweep folder.
        name: of the study.
        study: for Optuna's own evaluations, of the same moment.
        trials: all trials, in order of their numbers.
        metrics: names of what is optimised.
        maximize: for each metric, whether more is better.
        results: content of optimization_results.yaml, empty if there is none.
    """

    folder: Path
    name: str
    study: optuna.Study
    trials: Sequence[FrozenTrial]
    metrics: tuple[str, ...]
    maximize: tuple[bool, ...]
    results: dict[str, Any]

    @property
    def aims(self) -> str:
        """The metrics and the direction of each, as in `maximize val/accuracy`."""
        words = ("minimize", "maximize")
        return ", ".join(f"{words[up]} {metric}" for metric, up in zip(self.metrics, self.maximize, strict=True))

    @property
    def several(self) -> bool:
        return len(self.metrics) > 1

    @cached_property
    def step(self) -> str:
        """What trials report after: an epoch, or a run where each trial is several of them."""
        return "run" if any("repeat_seeds" in trial.user_attrs for trial in self.trials) else "epoch"

    @cached_property
    def searched(self) -> set[str]:
        """The keys that any trial has a value of, as on the command line."""
        return {name for trial in self.trials for name in trial.params}

    @cached_property
    def retried(self) -> set[int]:
        """The numbers of trials that do not count because their points were run again."""
        return {trial.user_attrs["retry_of"] for trial in self.trials if "retry_of" in trial.user_attrs}

    def trial_dir(self, trial: FrozenTrial) -> Path:
        return self.folder / str(trial.user_attrs.get("folder", trial.number))

    def is_here(self, trial: FrozenTrial) -> bool:
        """Whether the trial's folder is, or was, on this machine or within its reach."""
        return _host(trial) in ("", _HERE) or self.trial_dir(trial).is_dir()

    def place(self, trial: FrozenTrial) -> str:
        """The trial's folder as one would type it here; <host>:<name> where another machine has it."""
        folder = self.trial_dir(trial)
        return as_typed(folder) if self.is_here(trial) else f"{_host(trial)}:{folder.name}"


def read(folder: Path, study: optuna.Study | None = None) -> Sweep:
    """Read a sweep folder; nothing in it is changed.

    Args:
        folder: the sweep folder.
        study: its study, if somebody has it open already; by default it is opened as the folder's summary says.

    Raises:
        UserError: there is no such folder, no study in it, or its storage cannot be read.
    """
    if not folder.is_dir():
        siblings = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise UserError(f"no sweep folder {folder}{did_you_mean(folder.name, siblings)}")
    results = _results(folder)
    study, metric_names = read_study(folder, results) if study is None else copy_of(study)
    maximize = tuple(direction is optuna.study.StudyDirection.MAXIMIZE for direction in study.directions)
    metrics = results.get("metrics") or metric_names or [f"value {i}" for i in range(len(maximize))]
    trials = study.get_trials(deepcopy=False)
    return Sweep(folder, study.study_name, study, trials, tuple(metrics)[: len(maximize)], maximize, results)


def as_typed(path: Path) -> str:
    """The path as one would type it here."""
    here = os.path.relpath(path)
    return shlex.quote(str(path) if here.startswith("..") else here)


def state(trial: FrozenTrial) -> str:
    """Optuna's name of the trial's state, INTERRUPTED for a FAIL that does not count because it was requeued, or
    WARM_START for another search's trial that this one knows of.
    """
    if "warm_start" in trial.user_attrs:
        return "WARM_START"
    if trial.state is TrialState.FAIL and trial.user_attrs.get("interrupted"):
        return "INTERRUPTED"
    return trial.state.name


def source(sweep: Sweep, trial: FrozenTrial) -> str | None:
    """Where a trial's point comes from: defaults, enqueued, retry, or None if it was sampled.

    A point that is run again comes from where it came from the first time, which older studies do not write down.
    """
    while trial.user_attrs.get("source") == "retry":
        original = trial.user_attrs.get("retry_of")
        if not isinstance(original, int) or not 0 <= original < trial.number:
            break
        earlier = sweep.trials[original]
        if "source" not in earlier.user_attrs:
            break
        trial = earlier
    text = trial.user_attrs.get("source")
    return None if text is None else str(text)


def _host(trial: FrozenTrial) -> str:
    """The machine that ran a trial, "" if its search did not write it down."""
    return str(trial.user_attrs.get("owner", "")).rpartition("-")[0]


def run_metrics(run_dir: Path) -> dict[str, Any]:
    """Content of a run's metrics.json; empty where the run left none or its folder is gone."""
    try:
        content = json.loads((run_dir / "metrics.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _results(folder: Path) -> dict[str, Any]:
    path = folder / RESULTS
    if not path.is_file():
        return {}
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except Exception as error:  # YAML's and OmegaConf's errors have no common class of their own
        raise UserError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    return {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}
