"""Opens a study. A new one is checked before anything is written; an old one is joined only by the same search."""

import contextlib
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from async_optuna.differences import SpecChanges, all_of, differences
from async_optuna.errors import SearchError, on_one_line
from async_optuna.files import FileLock
from async_optuna.output import say
from async_optuna.storage import JOURNAL, open_storage
from async_optuna.study_config import StudyConfig, note_code_version

# How long it may take from making a study to writing down which search it is, at most.
_MAKING_SECONDS = 5.0

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
    config: StudyConfig | None = None,
    accept_changes: bool = False,
) -> optuna.Study:
    """Create the study, or join it.

    Args:
        spec: what makes two calls the same search (Space.description).
        may_differ: keys of fixed overrides that mean nothing to the result, such as where the data lie.
        prepare: called with whether the study is new; checks what can be checked before the first trial and returns
            what the trials depend on outside their config, such as the data's checksums. All of it must stay the same
            but `code_version`, of which a change is only noted.
        config: what all trials have in common, if the app can tell.
        accept_changes: whether the study goes on with another config.

    Raises:
        SearchError: if the study is another search, with every difference.
    """
    spec = {**spec, "directions": list(directions), "metrics": list(metric_names)}
    opened, study = _find(storage, sweep_dir, name)
    if study is not None:
        _compare(study, spec, None, may_differ)
        if config is not None:
            config.check(study, accept_changes)
    pins = dict(prepare(study is None))
    code_version = pins.pop("code_version", None)
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
            study = _create(
                opened or open_storage(storage, sweep_dir),
                name,
                directions,
                metric_names,
                pruner,
                spec,
                pins,
                may_differ,
            )
            if config is not None:
                config.keep(study, accept_changes)
            if code_version is not None:
                note_code_version(study, code_version)
            return study
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
    wanted = [StudyDirection[direction.upper()] for direction in directions]
    pruner = pruner or NopPruner()
    with _about_to_load(name):
        try:
            study = optuna.create_study(storage=storage, study_name=name, directions=wanted, pruner=pruner)
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(storage=storage, study_name=name, pruner=pruner)
            _wait_for_its_maker(study)
    if "spec" in study.user_attrs:
        grown = _compare(study, spec, pins, may_differ)
        if grown:
            study.set_user_attr("spec", dict(spec))
            say(f"note: the space grows: {'; '.join(grown)}")
        return study
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(metric_names))
    study.set_user_attr("pins", dict(pins))
    study.set_user_attr("spec", dict(spec))
    return study


def _wait_for_its_maker(study: optuna.Study) -> None:
    """Wait while another machine, which has just made the study, writes down what it is about: one of them must.

    A study of plain Optuna says nothing, and then it is this search's.
    """
    until = time.monotonic() + _MAKING_SECONDS
    while "spec" not in study.user_attrs and time.monotonic() < until:
        time.sleep(0.1)


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
) -> Sequence[str]:
    """Return by what the space has grown; raise SearchError for every other difference."""
    name = study.study_name
    directions = [direction.name.lower() for direction in study.directions]
    if directions != spec["directions"]:
        raise SearchError(
            f"study {name} is to {all_of(directions)}, not to {all_of(spec['directions'])}; name another study"
        )
    old = study.user_attrs.get("spec")
    changes = SpecChanges.between(spec if old is None else old, spec, may_differ)
    if changes.refused:
        hint = "; hydra.sweeper.warm_start=<sweep folder> takes the trials of this one along" * changes.has_new_choices
        raise SearchError(
            f"study {name} is another search: {'; '.join(changes.refused)}; "
            f"change it back, or name another hydra.sweeper.study_name{hint}"
        )
    old_pins = study.user_attrs.get("pins")
    if pins is not None and old_pins is not None and old_pins != dict(pins):
        found = list(differences(old_pins, pins))
        raise SearchError(f"study {name} was made on other data: {'; '.join(found)}; name another study")
    return changes.grown
