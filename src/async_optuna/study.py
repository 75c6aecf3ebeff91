"""Opens a study. A new one is checked before anything is written; an old one is joined only by the same search."""

import contextlib
import secrets
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import json_to_distribution
from optuna.pruners import BasePruner, NopPruner
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from async_optuna.distributions import in_words
from async_optuna.errors import SearchError, on_one_line
from async_optuna.files import FileLock
from async_optuna.storage import JOURNAL, open_storage

Prepare = Callable[[bool], Mapping[str, Any]]


def open_study(
    sweep_dir: Path,
    storage: Any,
    name: str,
    directions: Sequence[str],
    metric_names: Sequence[str],
    pruner: BasePruner | None,
    spec: Mapping[str, Any],
    may_differ: Sequence[str],
    prepare: Prepare,
) -> optuna.Study:
    """Create the study, or join it.

    Args:
        spec: what makes two calls the same search (Space.description).
        may_differ: keys of fixed overrides that mean nothing to the result, such as where the data lie.
        prepare: called with whether the study is new; checks what can be checked before the first trial and returns
            what the trials depend on outside their config, such as the data's checksums.

    Raises:
        SearchError: if the study is another search, with every difference.
    """
    spec = {**spec, "directions": list(directions), "metrics": list(metric_names)}
    opened, study = _find(storage, sweep_dir, name)
    if study is not None:
        _compare(study, spec, None, may_differ)
    pins = dict(prepare(study is None))
    try:
        sweep_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(sweep_dir / ".lock"):
            if study is None:  # others may have made it in the meantime, and run trials
                opened, study = _find(storage, sweep_dir, name)
            if study is None and any(entry.name.isdigit() for entry in sweep_dir.iterdir()):
                raise SearchError(
                    f"{sweep_dir} holds trials of another study; "
                    "name another hydra.sweeper.study_name or hydra.sweep.dir"
                )
            return _create(
                opened or open_storage(storage, sweep_dir),
                name,
                directions,
                metric_names,
                pruner,
                spec,
                pins,
                may_differ,
            )
    except OSError as error:
        raise SearchError(
            f"cannot use {error.filename or sweep_dir}: {error.strerror}; hydra.sweep.dir= names another folder"
        ) from error


def kept_seed(study: optuna.Study, given: int | None) -> int:
    """The seed of a search's sampler: the one that was given, else one drawn once and kept with the study.

    Whoever goes on with the study or joins it continues the same sequence, which a new seed would begin anew.
    """
    if given is not None:
        return given
    if "sampler_seed" not in study.user_attrs:
        study.set_user_attr("sampler_seed", secrets.randbelow(2**31))
    seed: int = study.user_attrs["sampler_seed"]
    return seed


def _create(
    storage: BaseStorage,
    name: str,
    directions: Sequence[str],
    metric_names: Sequence[str],
    pruner: BasePruner | None,
    spec: Mapping[str, Any],
    pins: Mapping[str, Any],
    may_differ: Sequence[str],
) -> optuna.Study:
    with _about_to_load(name):
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=[StudyDirection[direction.upper()] for direction in directions],
            load_if_exists=True,
            pruner=pruner or NopPruner(),
        )
    if "spec" in study.user_attrs:
        _compare(study, spec, pins, may_differ)
        return study
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(metric_names))
    study.set_user_attr("pins", dict(pins))
    study.set_user_attr("spec", dict(spec))
    return study


def _find(storage: Any, sweep_dir: Path, name: str) -> tuple[BaseStorage | None, optuna.Study | None]:
    """The storage and the study in it, as far as there are any."""
    if storage is None and not (sweep_dir / JOURNAL).exists():
        return None, None
    opened = open_storage(storage, sweep_dir)
    try:
        with _about_to_load(name):
            return opened, optuna.load_study(study_name=name, storage=opened)
    except KeyError:
        return opened, None


@contextlib.contextmanager
def _about_to_load(name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, optuna.exceptions.OptunaError) as error:
        raise SearchError(f"study {name}: {on_one_line(error)}") from error


def _compare(
    study: optuna.Study, spec: Mapping[str, Any], pins: Mapping[str, Any] | None, may_differ: Sequence[str]
) -> None:
    name = study.study_name
    directions = [direction.name.lower() for direction in study.directions]
    if directions != spec["directions"]:
        raise SearchError(
            f"study {name} is to {_and(directions)}, not to {_and(spec['directions'])}; name another study"
        )
    old = study.user_attrs.get("spec")
    if old is not None:
        differences = list(_differences(_by_key(old, may_differ), _by_key(spec, may_differ), _in_words))
        if differences:
            raise SearchError(
                f"study {name} is another search: {'; '.join(differences)}; "
                "give it back what it was, or name another hydra.sweeper.study_name"
            )
    old_pins = study.user_attrs.get("pins")
    if pins is not None and old_pins is not None and old_pins != dict(pins):
        differences = list(_differences(old_pins, pins))
        raise SearchError(f"study {name} was made on other data: {'; '.join(differences)}; name another study")


def _by_key(spec: Mapping[str, Any], may_differ: Sequence[str]) -> dict[str, str]:
    fixed = {key: value for key, value in spec.get("fixed", {}).items() if key not in may_differ}
    flat = {name: _and(spec.get(name, [])) for name in ("directions", "metrics")}
    flat |= {key.lstrip("+"): value for key, value in {**fixed, **spec.get("params", {})}.items()}
    for condition, content in spec.get("conditional", {}).items():
        flat |= {f"{key.lstrip('+')} where {condition}": value for key, value in content.items()}
    return flat


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], words: Callable[[Any], str] = str, prefix: str = ""
) -> Iterator[str]:
    for key in [*old, *(key for key in new if key not in old)]:
        before, now = old.get(key), new.get(key)
        if before == now:
            continue
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _differences(before, now, words, f"{prefix}{key} ")
        elif before is None:
            yield f"{prefix}{key} is new ({words(now)})"
        elif now is None:
            yield f"{prefix}{key} is missing (was {words(before)})"
        elif words(before) == words(now):
            yield f"{prefix}{key} was {before}, is {now}"
        else:
            yield f"{prefix}{key} was {words(before)}, is {words(now)}"


def _in_words(value: str) -> str:
    """A distribution or a fixed override as the user would write its value."""
    if value.startswith('{"name"'):
        return in_words(json_to_distribution(value))
    return "deleted" if value.startswith("~") else value.partition("=")[2] or value


def _and(words: Sequence[str]) -> str:
    return " and ".join(words)
