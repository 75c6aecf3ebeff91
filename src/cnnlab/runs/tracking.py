"""Runs that Weights & Biases and MLflow record: what they are called there, how they begin, go on and end."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, MLFlowLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from cnnlab.errors import UserError
from cnnlab.runs.json_files import read_json, write_json

_IDS = "tracking.json"
_EXTRAS = {WandbLogger: "wandb", MLFlowLogger: "mlflow"}


def arguments(key: str, kind: Callable[..., Any], run_dir: Path, offline: bool = False) -> dict[str, str]:
    """Return what a logger is told about the run. Its files go to the run folder, unless a server keeps them.

    Args:
        key: the logger's name in the config.
        kind: its class.
        offline: whether it sends nothing. Then W&B has no address to tell, and would only say anew for each run where
            its files lie.
    """
    known = read_json(run_dir / _IDS).get(key)  # of a run that goes on
    number_of_trial = run_dir.name.isdigit()
    name = f"{run_dir.parent.name}/{run_dir.name}" if number_of_trial else run_dir.name
    if kind is WandbLogger:
        if offline:
            os.environ.setdefault("WANDB_SILENT", "true")
        return {"save_dir": str(run_dir), "name": name} | ({"id": known} if known else {})
    if kind is MLFlowLogger:
        # Without an address Lightning chooses a folder of files, which MLflow no longer writes.
        server = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{run_dir / 'mlflow.db'}"
        place = {"tracking_uri": server, "artifact_location": str(run_dir / "mlflow")}
        return place | {"run_name": name} | ({"run_id": known} if known else {})
    return {"save_dir": str(run_dir)}


def missing_package(key: str, kind: Callable[..., Any], error: ModuleNotFoundError) -> UserError:
    """Return the error for a logger whose package is not installed; it names the extra that installs it."""
    extra = _EXTRAS.get(kind)  # type: ignore[call-overload]
    what = f'its package is not installed; pip install -e ".[{extra}]"' if extra else " ".join(str(error).split())
    return UserError(f"logger.{key}: {what}")


@contextmanager
def recorded(loggers: Mapping[str, Logger], settings: dict[str, Any], run_dir: Path) -> Iterator[None]:
    """Write the settings to all loggers at the start, remember the run's numbers there, and end the run in W&B.

    Args:
        loggers: by their names in the config.

    Raises:
        UserError: if a server, an account or a file store cannot be used.
    """
    exit_code = 1
    try:
        _begin(loggers, settings, run_dir)
        yield
        exit_code = 0
    finally:
        wandb = sys.modules.get("wandb")
        if wandb is not None and wandb.run is not None:  # the next run of this process would write to it too
            wandb.finish(exit_code=exit_code)


def _begin(loggers: Mapping[str, Logger], settings: dict[str, Any], run_dir: Path) -> None:
    known = read_json(run_dir / _IDS)
    ids = {}
    for key, logger in loggers.items():
        try:
            if not (key in known and isinstance(logger, MLFlowLogger)):  # MLflow refuses another value of a setting
                logger.log_hyperparams(settings)
            if isinstance(logger, WandbLogger | MLFlowLogger):
                ids[key] = logger.version
        except Exception as error:  # of a server, an account, a network
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
            if isinstance(logger, WandbLogger):
                reason += f"; logger.{key}.offline=true needs neither an account nor a network"
            raise UserError(f"logger.{key}: {reason}") from error
    if ids and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        write_json(run_dir / _IDS, ids)
