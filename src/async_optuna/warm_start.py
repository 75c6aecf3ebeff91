"""Takes finished trials of another search along, so that a sampler knows them from the start."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from async_optuna.errors import SearchError, did_you_mean, on_one_line
from async_optuna.files import FileLock
from async_optuna.optuna_internals import CONSTRAINT
from async_optuna.output import say
from async_optuna.passwords import without_passwords
from async_optuna.results import FILE as RESULTS
from async_optuna.space import Point
from async_optuna.storage import JOURNAL, open_journal, open_storage
from async_optuna.tally import WARM_START

_SOURCES = "warm_starts"


@dataclass(frozen=True)
class EarlierTrial:
    """A finished trial of another search.

    Attributes:
        params: what was chosen, by the keys of the command line.
        texts: further keys, or all of them, with their values as written on the command line.
        values: None: it was pruned.
        config: what all trials of that search had in common, as far as it is known.
        constraints: what it did to hold the search's constraints, as Optuna keeps that.
    """

    params: Mapping[str, Any]
    texts: Mapping[str, str]
    values: Sequence[float] | None
    config: Mapping[str, Any] = field(default_factory=dict)
    constraints: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class KnownPoint:
    """An earlier trial's point in the space of the new search."""

    point: Point
    distributions: Mapping[str, BaseDistribution]
    values: Sequence[float] | None
    constraints: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WarmStart:
    """What a new search takes along.

    Attributes:
        source: where it comes from, without passwords.
        num_outside: earlier trials that lie outside the new space.
    """

    source: str
    points: Sequence[KnownPoint] = field(default_factory=list)
    num_outside: int = 0

    def add_to(self, study: optuna.Study, sweep_dir: Path) -> None:
        """Add the points to the study as trials that are finished and marked, once for all who join it."""
        with FileLock(sweep_dir / ".lock"):
            sources = study.user_attrs.get(_SOURCES, [])
            if self.source in sources:
                return
            study.add_trials([self._trial(known) for known in self.points])
            study.set_user_attr(_SOURCES, [*sources, self.source])
        outside = f"; {self.num_outside} others lie outside the space" * bool(self.num_outside)
        say(f"warm start: {len(self.points)} trials of {self.source} are known to the sampler{outside}")

    def _trial(self, known: KnownPoint) -> FrozenTrial:
        return create_trial(
            state=TrialState.PRUNED if known.values is None else TrialState.COMPLETE,
            values=known.values,
            params=known.point,
            distributions=dict(known.distributions),
            user_attrs={WARM_START: self.source},
            system_attrs=dict(known.constraints),
        )


def earlier_trials(
    source: Any, sweep_dir: Path, directions: Sequence[str], metric_names: Sequence[str]
) -> list[EarlierTrial]:
    """Read the finished trials of a sweep folder, of `<storage URL>/<study name>` or of a leaderboard.csv.

    Raises:
        SearchError: if there is none, or its trials were judged by something else.
    """
    if isinstance(source, str) and Path(source).resolve().is_relative_to(sweep_dir.resolve()):
        raise SearchError(f"{_told(source)} is this search itself; it knows its own trials")
    if isinstance(source, str) and source.endswith(".csv"):
        return _of_leaderboard(Path(source), metric_names)
    storage, name = _storage_and_name(source, sweep_dir)
    names = optuna.get_all_study_names(storage)
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        raise SearchError(f"{_told(source)} holds no study {name or ''}; it holds {', '.join(names) or 'none'}")
    study = optuna.load_study(study_name=name, storage=storage)
    metrics = study.metric_names or metric_names  # a study that another program made has no names
    goals = [f"{one.name.lower()} {metric}" for one, metric in zip(study.directions, metrics, strict=False)]
    wanted = [f"{one} {metric}" for one, metric in zip(directions, metric_names, strict=True)]
    if goals != wanted:
        raise SearchError(f"{_told(source)} is to {' and '.join(goals)}, this search to {' and '.join(wanted)}")
    config = study.user_attrs.get("config", {}).get("values", {})
    return [
        EarlierTrial(
            trial.params,
            _texts(trial),
            trial.values if trial.state == TrialState.COMPLETE else None,
            config,
            {key: value for key, value in trial.system_attrs.items() if key.startswith(CONSTRAINT)},
        )
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    ]


def _texts(trial: FrozenTrial) -> dict[str, str]:
    pairs = (str(override).lstrip("+").partition("=") for override in trial.user_attrs.get("overrides", []))
    return {key: text for key, _, text in pairs}


def _of_leaderboard(path: Path, metric_names: Sequence[str]) -> list[EarlierTrial]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SearchError(f"{_told(path)} cannot be read: {on_one_line(error)}") from error
    columns = list(rows[0]) if rows else []
    found = []
    for name in metric_names:
        fitting = [one for one in (f"values_{name}", name, "value") if one in columns]
        if not fitting or (fitting[0] == "value" and len(metric_names) > 1):
            raise SearchError(f"{_told(path)} has no column {name}")
        found.append(fitting[0])
    trials = []
    for row in rows:
        texts = {key: text for key, text in row.items() if text}
        is_usable = row.get("state", "COMPLETE") == "COMPLETE" and "infeasible" not in texts
        if is_usable and all(column in texts for column in found):
            values = [_number(texts[column], path) for column in found]
            if not any(map(math.isnan, values)):
                trials.append(EarlierTrial({}, texts, values))
    return trials


def _number(text: str, path: Path) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SearchError(f"{_told(path)}: expected a number as the value of a complete trial, got {text!r}") from error


def _storage_and_name(source: Any, sweep_dir: Path) -> tuple[BaseStorage, str | None]:
    if isinstance(source, Mapping) and "storage" in source:
        return open_storage(source.get("storage"), sweep_dir), source.get("study_name")
    if not isinstance(source, str):
        raise SearchError(f"{_told(source)}: expected a sweep folder, <storage URL>/<study name> or a leaderboard.csv")
    if "://" in source:
        url, _, name = str(source).rpartition("/")
        scheme, _, file = url.partition(":///")
        if scheme.startswith("sqlite") and not Path(file).is_file():  # SQLite would make an empty file of it
            raise SearchError(f"{_told(source)}: expected <storage URL>/<study name>, and there is no file {file}")
        return open_storage(url, sweep_dir), name
    places = [Path(source), sweep_dir.parent / source]
    path = next((place for place in places if place.exists()), None)
    if path is None:
        siblings = [place.name for place in sweep_dir.parent.iterdir()] if sweep_dir.parent.is_dir() else []
        raise SearchError(f"{_told(source)}: there is no such file or folder{did_you_mean(str(source), siblings)}")
    if path.is_file():
        return open_journal(path), None
    results = path / RESULTS
    content = yaml.safe_load(results.read_text(encoding="utf-8")) if results.is_file() else {}
    storage = None if (path / JOURNAL).is_file() else content.get("storage")
    if storage is None and not (path / JOURNAL).is_file():
        raise SearchError(f"{_told(source)}: no study in {path}; expected {JOURNAL} or {RESULTS}")
    if isinstance(storage, str) and storage.startswith("{"):
        storage = yaml.safe_load(storage)
    return open_storage(storage, path), content.get("study_name")


def _told(source: Any) -> str:
    return f"hydra.sweeper.warm_start={without_passwords(str(source))}"
