"""Run folders: each run gets one of its own, and one that came to nothing leaves none behind."""

import contextlib
import logging
import shutil
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write

from cnnlab.arguments import quoted, value_of
from cnnlab.errors import UserError

# Where Hydra writes the config of a resumed job, beside the one the run was started with.
RESUMED_SUBDIR = ".hydra/resumed"


class ClaimRunFolder(Callback):
    """Hydra callback that makes the run folder before Hydra writes to it, so that no two runs share one.

    A name that Hydra made up and that is taken gets -2, -3, …; a folder that the user named is taken as it is.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        if value_of("hydra.run.dir", list(config.hydra.overrides.hydra)) is not None:
            return
        HydraConfig.instance().set_config(config)  # the folder's name is made of Hydra's choices
        # Hydra meets the same OSError next, and reports it.
        with contextlib.suppress(OSError), read_write(config.hydra.run):
            config.hydra.run.dir = str(claim(Path(config.hydra.run.dir)))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        given = list(config.hydra.overrides.hydra)
        is_plain_grid = config.hydra.sweeper["_target_"].endswith("BasicSweeper")
        if not is_plain_grid or value_of("hydra.sweep.dir", given) is not None:
            return
        with contextlib.suppress(OSError), read_write(config.hydra):
            folder = str(claim(Path(config.hydra.sweep.dir)))
            config.hydra.sweep.dir = folder
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(folder)}")  # each job is composed anew


def refuse_used(overrides: list[str]) -> None:
    """Raise UserError if a folder that the user names for a new run, or for a grid of runs, already holds one."""
    folder = value_of("hydra.run.dir", overrides)
    if folder and (Path(folder) / ".hydra").exists():
        raise UserError(
            f"hydra.run.dir={folder} already holds a run; name another folder, or continue it with resume={folder}"
        )
    folder = value_of("hydra.sweep.dir", overrides)
    is_plain_grid = not any(override.startswith(("sweep=", "hydra/sweeper")) for override in overrides)
    if folder and is_plain_grid and (Path(folder) / "multirun.yaml").exists():
        raise UserError(f"hydra.sweep.dir={folder} already holds a grid of runs; name another folder")


def claim(folder: Path) -> Path:
    """Make `folder`, or the first of folder-2, folder-3, … that does not exist; two claims never get the same."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    number, candidate = 1, folder
    while True:
        try:
            candidate.mkdir()
            return candidate
        except FileExistsError:
            if not folder.is_dir():
                raise
            number += 1
            candidate = folder.with_name(f"{folder.name}-{number}")


def discard_if_empty(run_dir: Path, config_subdir: str | None, log_name: str) -> None:
    """Remove what Hydra wrote before a task that came to nothing: its part of a resumed run, or the whole folder."""
    if config_subdir == RESUMED_SUBDIR:
        shutil.rmtree(run_dir / config_subdir, ignore_errors=True)
    ours = {config_subdir, log_name}
    if not run_dir.is_dir() or any(entry.name not in ours for entry in run_dir.iterdir()):
        return
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).parent == run_dir:
            handler.close()
            logging.getLogger().removeHandler(handler)
    for file in [*run_dir.glob(f"{config_subdir}/*"), run_dir / log_name]:
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (run_dir / str(config_subdir)).rmdir()
        run_dir.rmdir()
