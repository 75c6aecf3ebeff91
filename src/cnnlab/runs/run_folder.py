"""Run folders: every run gets its own, and a run that produced nothing leaves none behind."""

import contextlib
import logging
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError, safe_load

from cnnlab.errors import UserError
from cnnlab.overrides import LATEST, PRETRAINED, parsed, quoted, value_of
from cnnlab.runs import shipped  # only: zoo
from cnnlab.runs.commands import short_path
from cnnlab.runs.locks import locked

# Where Hydra writes the config of a resumed job, beside the one the run was started with.
RESUMED_SUBDIR = ".hydra/resumed"

_MOMENT = 0.02
_LONGEST_NAME = 40  # characters
_RUNS = Path("outputs/runs")

# Folders that the user has named for a new run, and that another process was faster to take.
_TAKEN: list[Path] = []


class ClaimRunFolder(Callback):
    """Hydra callback that makes the run folder before Hydra writes to it, so that no two runs share one.

    If the folder that Hydra chose exists, its name gets -2, -3, …; a folder that the user named is used as it is. A
    run on data of one's own has their name in its own, as in photos-tinyvgg, in place of the choice data=image_folder.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        HydraConfig.instance().set_config(config)  # the folder's name contains the names of the chosen groups
        if value_of("hydra.run.dir", list(config.hydra.overrides.hydra)) is not None:
            self._claim_named(config)
            return
        # Hydra meets the same OSError next, and reports it.
        with contextlib.suppress(OSError), read_write(config.hydra.run):
            config.hydra.run.dir = str(claim(_named_after_own_data(Path(config.hydra.run.dir), config)))

    @staticmethod
    def _claim_named(config: DictConfig) -> None:
        """Let Hydra write nothing to a folder that another process has taken for its run in this moment."""
        if config.hydra.output_subdir in (None, RESUMED_SUBDIR):
            return
        folder = Path(config.hydra.run.dir)
        try:
            (folder / config.hydra.output_subdir).mkdir(parents=True)
        except FileExistsError:
            _TAKEN.append(folder)  # `refuse_taken` raises it: Hydra turns errors of callbacks into warnings
            with read_write(config.hydra):
                config.hydra.output_subdir = None
        except OSError:  # Hydra meets it next, and reports it
            pass

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        given = list(config.hydra.overrides.hydra)
        if not is_plain_grid(config.hydra) or value_of("hydra.sweep.dir", given) is not None:
            return
        with contextlib.suppress(OSError), read_write(config.hydra):
            folder = str(claim(Path(config.hydra.sweep.dir)))
            config.hydra.sweep.dir = folder
            config.hydra.overrides.hydra.append(
                f"hydra.sweep.dir={quoted(folder)}"
            )  # every job of the grid is composed again


def _named_after_own_data(folder: Path, config: DictConfig) -> Path:
    """Put the name of the user's own folder or file into the name of a run folder.

    Data are one's own if conf/data/<choice>.yaml says `???` for a key: then the user must name a folder or a file.
    """
    choice = config.hydra.runtime.choices.get("data")
    sources = [source.path for source in config.hydra.runtime.config_sources if source.provider == "main"]
    files = [file for source in sources if (file := Path(source, "data", f"{choice}.yaml")).is_file()]
    items = [item for file in files for item in safe_load(file.read_text(encoding="utf-8")).items()]
    for key in (key for key, value in items if value == "???"):
        path = Path(str(OmegaConf.select(config, f"data.{key}") or ""))
        name = re.sub(r"[^\w.-]+", "-", path.stem if path.suffix and not path.is_dir() else path.name).strip("-.")
        if name:
            return folder.with_name(folder.name.replace(f"_{choice}-", f"_{name[:_LONGEST_NAME]}-", 1))
    return folder


def is_plain_grid(hydra: Any) -> bool:
    """Return whether Hydra's own sweeper, which runs every combination, is what `-m` starts."""
    return bool(hydra.sweeper["_target_"].endswith("BasicSweeper"))


def refuse_taken() -> None:
    """Raise UserError if another process has taken the named folder since `refuse_used` looked."""
    if _TAKEN:
        folder = _TAKEN.pop()
        raise UserError(f"hydra.run.dir={folder} holds a run that another process has just begun; name another folder")


def refuse_used(overrides: list[str]) -> None:
    """Raise UserError if a folder that the user names for a new run, or for a grid of runs, already holds one."""
    folder = value_of("hydra.run.dir", overrides)
    if folder and (Path(folder) / ".hydra").exists():
        raise UserError(
            f"hydra.run.dir={folder} already holds a run; name another folder, or continue it with resume={folder}"
        )
    folder = value_of("hydra.sweep.dir", overrides)
    is_search = {"sweep", "hydra/sweeper"} & parsed(overrides).keys()
    if folder and not is_search and (Path(folder) / "multirun.yaml").exists():
        raise UserError(f"hydra.sweep.dir={folder} already holds a grid of runs; name another folder")


def find(run: str | Path) -> Path:
    """Return the run folder that `run` names.

    Args:
        run: a folder; or "latest", the one in outputs/runs that was started last; or a name like "pretrained:tinyvgg"
            of weights that ship with the package, which are unpacked to outputs/pretrained.

    Raises:
        UserError: if it is no run folder.
    """
    # only: zoo
    if shipped.is_named(run):
        return shipped.unpacked(run)
    # end only
    if str(run) == LATEST:
        starts = {file.parents[1]: file.stat().st_mtime_ns for file in _RUNS.glob("*/.hydra/overrides.yaml")}
        if not starts:
            hint = "python train.py makes one"
            hint += ", and run=pretrained:tinyvgg needs none"  # only: zoo
            raise UserError(f"{LATEST}: there are no runs in {_RUNS.absolute()}; {hint}")
        return max(starts, key=lambda folder: (starts[folder], folder.name)).absolute()
    folder = Path(run).expanduser().absolute()
    if not (folder / ".hydra" / "config.yaml").is_file():
        inside = sorted(path.parents[1] for path in folder.glob("*/.hydra/config.yaml"))
        hint = f"; it holds some, such as {inside[0]}" if inside else ""
        # only: zoo
        if f"{folder.name}:" == PRETRAINED:
            hint = f"; {', '.join(PRETRAINED + name for name in shipped.names())} name networks that ship"
        # end only
        raise UserError(f"{folder} is not a run folder (it has no .hydra/config.yaml){hint}")
    return folder


def load_config(run_dir: Path) -> DictConfig:
    """Return the config a run was started with.

    Raises:
        UserError: if it cannot be read.
    """
    path = run_dir / ".hydra" / "config.yaml"
    try:
        config = OmegaConf.load(path)
        assert isinstance(config, DictConfig)
    except (OmegaConfBaseException, AssertionError, OSError, ValueError, YAMLError) as error:
        raise UserError(f"{path} cannot be read ({' '.join(str(error).split())})") from error
    return config


@contextlib.contextmanager
def in_use(run_dir: Path, alone: bool) -> Iterator[None]:
    """Hold the lock on a run folder by which others see that the run is alive.

    Raises:
        UserError: if somebody else holds it and the run must be alone.
    """
    for last_try in (
        False,
        False,
        False,
        False,
        True,
    ):  # a process that only checks whether the run is alive holds the lock for a moment
        with locked(run_dir) as is_ours:
            if last_try and alone and not is_ours:
                raise UserError(
                    f"{short_path(run_dir)} is still running in another process; wait for it, or stop it first"
                )
            if is_ours or last_try:
                yield
                return
        time.sleep(_MOMENT)


def claim(folder: Path) -> Path:
    """Make `folder`, or the first of folder-2, folder-3, … that does not exist; no two processes get the same."""
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
    """Remove Hydra's files if the task produced nothing else: those of the resumption, or the whole folder."""
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
