"""Continues a run with `resume=` or `init_from=`: the keys that may change, the config, the checkpoint, the checks."""

import inspect
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from cnnlab.errors import UserError
from cnnlab.overrides import parsed, quoted
from cnnlab.runs import ranks
from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.commands import short_path
from cnnlab.runs.json_files import read_json
from cnnlab.runs.run_folder import RESUMED_SUBDIR, find, load_config
from cnnlab.runs.trust import trusted

# The keys that decide where a run ends, on how many devices it goes on, and where its teacher lies, which may have been
# moved: only these may change.
_ENDS = ("max_epochs", "max_steps")
_TEACHER = "classifier.teacher"
_MAY_CHANGE = (*(f"trainer.{name}" for name in (*_ENDS, "devices", "num_nodes", "strategy")), _TEACHER)

# Keys that may differ between a run and the one from which init_from= continues, because they do not change its result.
_SAME_RESULT = (
    "resume",
    "init_from",
    "test",
    "trainer.num_threads",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.channels_last",
    "trainer.lean",
    "trainer.fast_loop",
    "trainer.cuda_graph",
    "trainer.compile",
    "data.root",
    "data.device",
)

log = logging.getLogger(__name__)


def arguments_for_resume(run_dir: Path, arguments: list[str]) -> list[str]:
    """Return overrides that make Hydra work in the run's own folder without changing its saved config.

    Raises:
        UserError: if the folder is not a run that can continue, or if anything but its end is changed.
    """
    try:
        find(run_dir)
    except UserError as error:
        raise UserError(f"resume: {error}") from error
    if not (run_dir / "checkpoints" / "last.ckpt").is_file():
        raise UserError(f"resume: {run_dir} has no checkpoints/last.ckpt: no epoch was finished; start a new run")
    if {"-m", "--multirun"} & set(arguments):
        raise UserError("resume continues one run; it cannot be combined with --multirun")
    for key, value in parsed(arguments).items():
        if key not in ("resume", *_MAY_CHANGE):
            raise UserError(
                f"resume continues a run with its own config, so {key}={value} is refused; only "
                f"{' or '.join(_MAY_CHANGE)} may be given"
            )
    return [*arguments, f"hydra.run.dir={quoted(str(run_dir))}", f"hydra.output_subdir={RESUMED_SUBDIR}"]


def saved_config(run_dir: Path, composed: DictConfig, overrides: list[str]) -> DictConfig:
    """Return the config the run was started with, with a new end, other devices or a moved teacher if they are given.

    Raises:
        UserError: if it names foreign code, see trust.trusted.
    """
    config = load_config(run_dir)
    for key in _MAY_CHANGE:
        if key in parsed(overrides):
            OmegaConf.update(config, key, OmegaConf.select(composed, key))
    config = trusted(config, f"the config saved in {short_path(run_dir)}")
    config.resume = str(run_dir)
    return config


def checkpoint(config: DictConfig, run_dir: Path) -> Path | None:
    """Return the checkpoint to continue from: the run's own with resume, a copy of another run's with init_from.

    Of several processes only the first copies; the others read the other run's own.

    Raises:
        UserError: if the other run was made with other settings.
    """
    if config.resume:
        return run_dir / "checkpoints" / "last.ckpt"
    if not config.init_from:
        return None
    source = Path(config.init_from).absolute()
    if not source.is_dir():
        raise UserError(f"init_from: there is no run folder {source}")
    if not (source / "checkpoints" / "last.ckpt").is_file():
        log.info("init_from: %s had not finished an epoch, so this run starts from the beginning", source)
        return None
    for key, before, now in differences(as_written(load_config(source)), as_written(config)):
        if key not in _SAME_RESULT and not (before is None and is_default(config, key, now)):
            raise UserError(f"init_from goes on with the same settings, but {key} was {before} and is {now}")
    if not ranks.is_first(config.trainer):
        return source / "checkpoints" / "last.ckpt"
    for part in ("checkpoints", "tensorboard"):
        if (source / part).is_dir():
            shutil.copytree(source / part, run_dir / part, dirs_exist_ok=True)
    for file in source.glob("events.out.tfevents.*"):
        shutil.copy2(file, run_dir)
    return run_dir / "checkpoints" / "last.ckpt"


def check(
    config: DictConfig, run_dir: Path, dataset: str, checksums: dict[str, str], schedule_has_fixed_length: bool
) -> None:
    """Let a run continue only with its own data, and beyond its end only if its schedule allows it.

    Raises:
        UserError: naming both data sets, or the schedule.
    """
    check_data(Path(config.init_from or run_dir), dataset, checksums)
    changed = _new_ends(config, load_config(run_dir)) if config.resume else {}
    if changed and schedule_has_fixed_length:
        raise UserError(
            f"resume: {', '.join(f'trainer.{name}={end}' for name, end in changed.items())} is refused, the run's "
            f"schedule ({config.scheduler['_target_'].rpartition('.')[2]}) was laid out for another number of epochs; "
            "start a new run, or use scheduler=none or scheduler=step when a run may grow"
        )


def save_end(config: DictConfig, run_dir: Path) -> None:
    """Write a new end of a continued run, and the place of its teacher, into its saved config."""
    if not config.resume:
        return
    saved = load_config(run_dir)
    changed = {f"trainer.{name}": end for name, end in _new_ends(config, saved).items()}
    if (teacher := OmegaConf.select(config, _TEACHER)) != OmegaConf.select(saved, _TEACHER):
        changed[_TEACHER] = teacher
    if not changed:
        return
    for key, value in changed.items():
        OmegaConf.update(saved, key, value)
    write_atomically(run_dir / ".hydra" / "config.yaml", OmegaConf.to_yaml(saved).encode())
    (run_dir / "metrics.json").unlink(missing_ok=True)  # a run that is stopped before its new end counts as unfinished


def check_data(run_dir: Path, dataset: str, checksums: dict[str, str]) -> None:
    """Raise UserError naming both data sets if a run was made on others."""
    before = read_json(run_dir / "environment.json")
    if before and (before["dataset"], before["data_checksums"]) != (dataset, checksums):
        raise UserError(
            f"{short_path(run_dir)} was trained on {before['dataset']} {before['data_checksums']}, but what is found "
            f"now is {dataset} {checksums}; give the first data their place back (data.root, data.path or "
            "CNNLAB_DATA_DIR)"
        )


def finished(config: DictConfig, run_dir: Path) -> dict[str, Any]:
    """Return the metrics of a run that has nothing left to do, else {}."""
    return {} if _new_ends(config, load_config(run_dir)) else read_json(run_dir / "metrics.json")


def as_written(config: DictConfig) -> dict[Any, Any]:
    """Return the config as plain containers. Interpolations stay text, so that comparing them calls nothing."""
    content = OmegaConf.to_container(config)
    assert isinstance(content, dict)
    return content


def differences(before: dict[Any, Any], now: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield each key by which two configs differ, with its values; None where a config has no such key."""
    for name in [*before, *(name for name in now if name not in before)]:
        key = f"{prefix}{name}"
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, f"{key}.")
        elif old != new:
            yield key, old, new


def is_default(config: DictConfig, key: str, value: Any) -> bool:
    """Whether a value is the default of its class: an earlier run, which had no such key yet, did the same."""
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else None
    target = get_object(node["_target_"]) if isinstance(node, DictConfig) and "_target_" in node else None
    if not isinstance(target, type):
        return False
    parameters = [inspect.signature(base.__init__).parameters for base in target.__mro__]  # type: ignore[misc]
    return next((known[name].default == value for known in parameters if name in known), False)


def _new_ends(config: DictConfig, saved: DictConfig) -> dict[str, Any]:
    ends = {name: config.trainer.get(name) for name in _ENDS}
    return {name: end for name, end in ends.items() if end != saved.trainer.get(name)}
