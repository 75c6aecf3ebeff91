"""The processes of a run on many devices that torchrun or srun has started beside its first one."""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig

from cnnlab.cli.arguments import arguments_for_hydra, with_runs_found
from cnnlab.cli.process_state import changed_argv
from cnnlab.errors import UserError
from cnnlab.overrides import parsed, quoted, value_of
from cnnlab.runs import ranks, run_folder

_GRID = {"-m", "--multirun"}


def is_follower(conf_dir: Path, config_name: str, arguments: list[str]) -> bool:
    """Return whether torchrun or srun has started this process as a further one of a run on many devices.

    A run in one process takes no notice of them, and only the config tells what the run is. Where it cannot be
    composed, the first process tells the mistake.
    """
    if ranks.rank() == 0 or _GRID & set(arguments):
        return False
    try:
        overrides = with_runs_found(arguments)
        resume = value_of("resume", overrides)
        if resume is not None:
            config = run_folder.load_config(Path(resume))
            given = parsed(overrides)
            numbers = {
                name: given[f"trainer.{name}"] for name in ("devices", "num_nodes") if f"trainer.{name}" in given
            }
            config.trainer.update({name: int(value) if value.isdecimal() else value for name, value in numbers.items()})
        else:
            config = _composed(conf_dir, config_name, overrides)
    except Exception:
        return True
    return "trainer" in config and not ranks.is_alone(config.trainer)


def refuse_grid(conf_dir: Path, config_name: str, arguments: list[str]) -> None:
    """Raise UserError for a grid of runs on many devices, whose processes a launcher has started all at once.

    The processes of one machine leave it to one of them to say so.
    """
    if ranks.launcher() is None or not _GRID & set(arguments):
        return
    parser = OverridesParser.create()
    try:
        overrides = [word for word in with_runs_found(arguments) if not word.startswith("-")]
        fixed = [word for word in overrides if not parser.parse_override(word).is_sweep_override()]
        if {"sweep", "hydra/sweeper"} & parsed(fixed).keys():
            return
        config = _composed(conf_dir, config_name, fixed)
    except Exception:  # it is told later, when Hydra composes the config
        return
    if "trainer" in config and not ranks.is_alone(config.trainer):
        error = _grid_error()
        error.is_told = ranks.local_rank() > 0  # type: ignore[attr-defined]
        raise error


def _composed(conf_dir: Path, config_name: str, overrides: list[str]) -> DictConfig:
    with initialize_config_dir(str(conf_dir), version_base="1.3"):
        return compose(config_name, [word for word in overrides if not word.startswith("-")])


def _grid_error() -> UserError:
    return UserError(
        f"{ranks.launcher()} starts the processes of one run; start each run of this grid by its own "
        f"{ranks.launcher()}, or the grid without it"
    )


def _arguments_of_follower(arguments: list[str], folder: Path) -> list[str]:
    """Rewrite the arguments for a process that has no run folder of its own.

    Args:
        folder: an empty one, for what Hydra wants to write.
    """
    overrides = with_runs_found(arguments)
    place = value_of("resume", overrides) or str(folder)
    others = [word for word in overrides if value_of("hydra.run.dir", [word]) is None]
    return [*others, f"hydra.run.dir={quoted(place)}", "hydra.output_subdir=null"]


@contextmanager
def argv_for_hydra(argv: list[str], is_follower: bool) -> Iterator[None]:
    """Let sys.argv be what Hydra reads; what a follower has to write lies in a folder that is removed in the end.

    Raises:
        UserError: if the arguments ask for what cannot be, see arguments_for_hydra.
    """
    script, *arguments = argv
    if is_follower:
        with (
            tempfile.TemporaryDirectory() as folder,
            changed_argv([script, *_arguments_of_follower(arguments, Path(folder))]),
        ):
            yield
    else:
        with changed_argv([script, *arguments_for_hydra(arguments)]):
            yield


def another_tells(error: BaseException) -> bool:
    """Return whether a follower leaves it to the first process to tell an error, which has it too or has been told."""
    return not isinstance(error, Exception) or ranks.local_rank() > 0 or getattr(error, "is_told", False)


def own_processes(config: DictConfig, settings: Any) -> AbstractContextManager[None]:
    """Let a trial start its own further processes, where its search is one of several that srun has started.

    Raises:
        UserError: for a grid of runs on many devices, whose processes a launcher has started all at once.
    """
    trainer = config.get("trainer")
    if settings.mode != RunMode.MULTIRUN or trainer is None or ranks.is_alone(trainer) or ranks.launcher() is None:
        return nullcontext()
    if run_folder.is_plain_grid(settings):
        raise _grid_error()
    return ranks.without_launcher()
