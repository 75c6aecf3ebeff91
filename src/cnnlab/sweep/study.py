"""Opening a study: a new one is checked before anything is written, an old one joined only as the same search."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from cnnlab.errors import UserError
from cnnlab.sweep.locks import FileLock
from cnnlab.sweep.storage import JOURNAL, open_storage

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
        UserError: if the study is another search, with every difference.
    """
    spec = {**spec, "directions": list(directions), "metrics": list(metric_names)}
    is_new = storage is None and not (sweep_dir / JOURNAL).exists()
    opened = None if is_new else open_storage(storage, sweep_dir)
    if opened is not None:
        study = _load(opened, name)
        is_new = study is None
        if study is not None:
            _compare(study, spec, None, may_differ)
    pins = dict(prepare(is_new))
    if is_new and any(entry.name.isdigit() for entry in _entries(sweep_dir)):
        raise UserError(
            f"{sweep_dir} holds trials of another study; name another hydra.sweeper.study_name or hydra.sweep.dir"
        )
    try:
        sweep_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(sweep_dir / ".lock"):
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
        raise UserError(
            f"cannot use {error.filename or sweep_dir}: {error.strerror}; hydra.sweep.dir= names another folder"
        ) from error


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


def _load(storage: BaseStorage, name: str) -> optuna.Study | None:
    try:
        with _about_to_load(name):
            return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        return None


@contextlib.contextmanager
def _about_to_load(name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, optuna.exceptions.OptunaError) as error:
        raise UserError(f"study {name}: {' '.join(str(error).split())}") from error


def _compare(
    study: optuna.Study, spec: Mapping[str, Any], pins: Mapping[str, Any] | None, may_differ: Sequence[str]
) -> None:
    name = study.study_name
    directions = [direction.name.lower() for direction in study.directions]
    if directions != spec["directions"]:
        raise UserError(f"study {name} is to {_and(directions)}, not to {_and(spec['directions'])}; name another study")
    old = study.user_attrs.get("spec")
    if old is not None:
        differences = list(_differences(_relevant(old, may_differ), _relevant(spec, may_differ)))
        if differences:
            raise UserError(
                f"study {name} is another search: {'; '.join(differences)}; "
                "give it back what it was, or name another hydra.sweeper.study_name"
            )
    old_pins = study.user_attrs.get("pins")
    if pins is not None and old_pins is not None and old_pins != dict(pins):
        differences = list(_differences(old_pins, pins))
        raise UserError(f"study {name} was made on other data: {'; '.join(differences)}; name another study")


def _relevant(spec: Mapping[str, Any], may_differ: Sequence[str]) -> dict[str, Any]:
    fixed = {key: value for key, value in spec.get("fixed", {}).items() if key not in may_differ}
    return {**spec, "fixed": fixed}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in [*old, *(key for key in new if key not in old)]:
        before, now = old.get(key), new.get(key)
        if before == now:
            continue
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _differences(before, now, f"{prefix}{key} ")
        elif before is None:
            yield f"{prefix}{key} is new ({now})"
        elif now is None:
            yield f"{prefix}{key} is missing (was {before})"
        else:
            yield f"{prefix}{key} was {before}, is {now}"


def _entries(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from folder.iterdir()


def _and(words: Sequence[str]) -> str:
    return " and ".join(words)
