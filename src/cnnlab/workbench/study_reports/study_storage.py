"""Finds the study of a sweep folder where its search kept it, and reads it without changing anything there."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.storages import BaseStorage, JournalStorage

from async_optuna.database_url import with_driver
from async_optuna.errors import SearchError
from async_optuna.passwords import message_without_passwords, without_passwords
from cnnlab.errors import UserError
from cnnlab.workbench.study_reports.journal_reader import JournalReader
from cnnlab.workbench.study_reports.quiet_optuna import optuna_is_quiet

_JOURNAL = "study.journal"
_MOST_NAMES = 20
_HIDDEN = "***"  # SQLAlchemy's word for a password that is not written down


def read_study(folder: Path, results: Mapping[str, Any]) -> tuple[optuna.Study, list[str] | None]:
    """The study as it is at this moment, and the names of its metrics.

    The storage is what the search was given: a journal's path, a URL, or a class with its arguments. A relative path
    is looked for in the sweep folder, in the folder where the search was started, and here.

    Raises:
        UserError: there is none, or it cannot be opened.
    """
    name = results.get("study_name")
    with _opened(results.get("storage") or _JOURNAL, folder) as storage:
        try:
            study = _load(storage, name or _only_study(storage, folder))
        except KeyError as error:
            told = without_passwords(results.get("storage") or _JOURNAL)
            raise UserError(f"{told} in {folder} holds no study {name}") from error
        if isinstance(storage, JournalStorage):
            return study, study.metric_names  # it was read at one moment
        return copy_of(study)


def study_names(storage: str) -> list[str]:
    """The names of all studies in a storage.

    Raises:
        UserError: it cannot be opened.
    """
    with _opened(storage, Path.cwd()) as opened:
        return optuna.get_all_study_names(opened)


@contextmanager
def _opened(storage: Any, folder: Path) -> Iterator[BaseStorage]:
    if isinstance(storage, str) and storage.startswith("{"):  # a class that was written down as text
        storage = OmegaConf.to_container(OmegaConf.create(storage))
    try:
        if isinstance(storage, Mapping):
            opened = _constructed(storage, folder)
        elif "://" in storage:
            opened = optuna.storages.RDBStorage(with_driver(_readable(storage, folder)))
        else:
            opened = JournalStorage(JournalReader(_journal(storage, folder)))
        try:
            yield opened
        finally:
            opened.remove_session()
            if isinstance(opened, optuna.storages.RDBStorage):
                opened.engine.dispose()
    except UserError:
        raise
    except SearchError as error:
        raise UserError(str(error)) from error
    except Exception as error:  # a database's errors: no driver, no server, no permission …
        told = message_without_passwords(" ".join(str(error).split()))
        raise UserError(f"cannot open {without_passwords(storage)}: {told}") from error


def copy_of(study: optuna.Study) -> tuple[optuna.Study, list[str] | None]:
    """The study as it is at this moment, detached from its storage, and the names of its metrics."""
    with optuna_is_quiet(), warnings.catch_warnings():
        copy = optuna.create_study(
            study_name=study.study_name, directions=study.directions, sampler=optuna.samplers.RandomSampler()
        )
        if study.metric_names:
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            copy.set_metric_names(study.metric_names)
    copy.add_trials(study.get_trials(deepcopy=False))
    for name, value in study.user_attrs.items():
        copy.set_user_attr(name, value)
    return copy, study.metric_names


def _load(storage: BaseStorage, name: str) -> optuna.Study:
    # any sampler will do, and this one is quickly made
    return optuna.load_study(study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler())


def _only_study(storage: BaseStorage, folder: Path) -> str:
    names = optuna.get_all_study_names(storage)
    if len(names) != 1:
        found = ", ".join(names[:_MOST_NAMES]) + (" …" if len(names) > _MOST_NAMES else "")
        raise UserError(f"cannot tell which study is meant in {folder}: its storage holds {found or 'none'}")
    return names[0]


def _constructed(config: Mapping[str, Any], folder: Path) -> BaseStorage:
    module, _, name = str(config.get("_target_")).rpartition(".")
    arguments = {str(key): value for key, value in config.items() if key != "_target_"}
    if isinstance(arguments.get("url"), str):
        arguments["url"] = with_driver(_readable(arguments["url"], folder))
    storage: BaseStorage = getattr(import_module(module), name)(**arguments)
    return storage


def _readable(url: str, folder: Path) -> str:
    """The URL with an absolute path, and without a password that was left out: the driver has its own ways to one.

    SQLite would make an empty file of a path that does not exist, in silence.
    """
    url = url.replace(f":{_HIDDEN}@", "@")
    scheme, _, path = url.partition(":///")
    path, mark, options = path.partition("?")
    if not scheme.startswith("sqlite") or not path:
        return url
    found = _found(path, folder)
    if found is None:
        raise UserError(f"no study in {url}: there is no file {path}")
    return f"{scheme}:///{found}{mark}{options}"


def _journal(path: str, folder: Path) -> Path:
    found = _found(path, folder)
    if found is None:
        raise UserError(f"no study in {folder}: expected optimization_results.yaml and {path}, as a sweep leaves them")
    return found


def _found(path: str, folder: Path) -> Path | None:
    places = [folder, *_started_in(folder), Path.cwd()]
    return next((place / path for place in places if (place / path).is_file()), None)


def _started_in(folder: Path) -> list[Path]:
    """Where the search was started, as Hydra wrote it down."""
    try:
        return [Path(str(OmegaConf.load(folder / "multirun.yaml").hydra.runtime.cwd))]
    except Exception:  # no such file, no YAML, other keys
        return []
