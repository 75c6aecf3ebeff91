"""Opens a sweep folder: the study in it and the engine's own summary."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

from cnnlab.errors import UserError, did_you_mean
from cnnlab.workbench.study_reports.journal_reader import JournalReader

RESULTS = "optimization_results.yaml"


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

    def trial_dir(self, trial: FrozenTrial) -> Path:
        return self.folder / str(trial.user_attrs.get("folder", trial.number))


def read(folder: Path) -> Sweep:
    """Read a sweep folder; nothing in it is changed.

    Raises:
        UserError: there is no such folder, no study in it, or its storage cannot be read.
    """
    if not folder.is_dir():
        siblings = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise UserError(f"no sweep folder {folder}{did_you_mean(folder.name, siblings)}")
    results = _results(folder)
    study, metric_names = _study(folder, results)
    maximize = tuple(direction is optuna.study.StudyDirection.MAXIMIZE for direction in study.directions)
    metrics = results.get("metrics") or metric_names or [f"value {i}" for i in range(len(maximize))]
    trials = study.get_trials(deepcopy=False)
    return Sweep(folder, study.study_name, study, trials, tuple(metrics)[: len(maximize)], maximize, results)


def state(trial: FrozenTrial) -> str:
    """Optuna's name of the trial's state, or INTERRUPTED for a FAIL that does not count because it was requeued."""
    if trial.state is TrialState.FAIL and trial.user_attrs.get("interrupted"):
        return "INTERRUPTED"
    return trial.state.name


@contextmanager
def optuna_is_quiet() -> Iterator[None]:
    """For making a copy of a study, which Optuna would announce as a new one."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


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


def _study(folder: Path, results: dict[str, Any]) -> tuple[optuna.Study, list[str] | None]:
    """The study and the names of its metrics, detached from where they are stored."""
    storage = str(results.get("storage") or "study.journal")
    if "://" in storage:
        _refuse_missing_sqlite(storage)
    elif not (folder / storage).is_file():
        raise UserError(f"no study in {folder}: expected {RESULTS} and {storage}, as a sweep leaves them")
    try:
        if "://" in storage:
            return _database_study(storage, results, folder)
        study = _load(optuna.storages.JournalStorage(JournalReader(folder / storage)), results, folder)
        return study, study.metric_names
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{storage} in {folder} holds no study {results.get('study_name')}") from error
    except Exception as error:  # a database's errors: no driver, no server, no permission …
        place = re.sub(r"//[^/@]*@", "//", storage)  # less user and password
        raise UserError(f"cannot open {place}: {' '.join(str(error).split())}") from error


def _load(storage: Any, results: dict[str, Any], folder: Path) -> optuna.Study:
    name = results.get("study_name") or _only_study(storage, folder)
    # any sampler will do, and this one is quickly made
    return optuna.load_study(study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler())


def _database_study(url: str, results: dict[str, Any], folder: Path) -> tuple[optuna.Study, list[str] | None]:
    storage = optuna.storages.RDBStorage(url)
    try:
        study = _load(storage, results, folder)
        with optuna_is_quiet():
            copy = optuna.create_study(study_name=study.study_name, directions=study.directions, sampler=study.sampler)
        copy.add_trials(study.get_trials(deepcopy=False))
        return copy, study.metric_names
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _refuse_missing_sqlite(url: str) -> None:
    """SQLite would make an empty file of it, in silence."""
    scheme, _, path = url.partition(":///")
    path = path.partition("?")[0]
    if scheme.startswith("sqlite") and path and not Path(path).is_file():
        raise UserError(f"no study in {url}: there is no file {path}")


def _only_study(storage: Any, folder: Path) -> str:
    names = optuna.get_all_study_names(storage)
    if len(names) != 1:
        raise UserError(f"cannot tell which study is meant in {folder}: its storage holds {names or 'none'}")
    return names[0]
