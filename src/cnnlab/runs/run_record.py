"""Writes the results of a run: its JSON files and its row on the HPARAMS page."""

import hashlib
import importlib.metadata
import math
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from cnnlab.callbacks.checkpoint import Checkpoint
from cnnlab.callbacks.stop_when_learned import StopWhenLearned
from cnnlab.callbacks.throughput import Throughput
from cnnlab.data.datamodule import DataModule
from cnnlab.runs import json_files
from cnnlab.runs.commands import short_path, this_script
from cnnlab.speed.diagnosis import StageTimes, diagnose
from cnnlab.speed.fast_loop import FastLoop
from cnnlab.speed.hardware import Hardware

_PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "hydra-core",
    "omegaconf",
    "torchmetrics",
    "numpy",
    "pillow",
    "tensorboard",
    "optuna",
)
_GROUPS = ("model", "augment", "optimizer", "scheduler")
_MAX_COLUMNS = 22

Kind = TypeVar("Kind")

Objective = float | list[float | None] | None

# If the run has several processes, only the first writes.
write_json = rank_zero_only(json_files.write_json)


def environment(machine: Hardware, data: dict[str, Any]) -> dict[str, Any]:
    """Return everything outside the config on which a run's results may depend."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "cuda": torch.version.cuda,
        "device": machine.device,
        "precision": machine.precision,
        "num_threads": torch.get_num_threads(),
        "git": _git_state(Path(__file__).resolve().parents[3]),
        "code": code_version(),
        "command": shlex.join(["python", *sys.argv]),
        "dataset": data["dataset"],
        "samples": data.get("noun", "samples"),
        "preprocessing": data.get("preprocessing"),
        "data_checksums": data["checksums"],
    }


def code_version() -> str:
    """A short hash of all that a training may run of this package, whether it is committed or not."""
    package = Path(__file__).resolve().parents[1]
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] != "workbench":
            total.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return f"source {total.hexdigest()[:12]}"


def hyperparameters(config: DictConfig, dataset: str) -> dict[str, str | int | float | bool]:
    """Return at most 22 plain values by which runs differ: the class of each group and the settings of two of them."""
    columns: dict[str, str | int | float | bool] = {
        group: config[group]["_target_"].rpartition(".")[2] for group in _GROUPS if config.get(group)
    }
    columns |= {
        "dataset": dataset,
        "data.batch_size": config.data.get("batch_size", 0),
        "optimizer.lr": config.optimizer.get("lr", 0.0),
        "trainer.max_epochs": config.trainer.max_epochs,
        "seed": config.seed,
    }
    for group in ("model", "optimizer"):
        for name, value in config[group].items():
            key = f"{group}.{name}"
            if not str(name).startswith("_") and name != "fused" and key not in columns and len(columns) < _MAX_COLUMNS:
                columns[key] = value if isinstance(value, bool | int | float) else str(value)
    return columns


def scores(trainer: Trainer) -> dict[str, Any]:
    """Return the metrics of the weights in best.ckpt and the time that the training took.

    Without a Checkpoint callback these are the metrics of the last epoch; best_epoch is None if no validation chose
    the weights.
    """
    checkpoint = trainer.checkpoint_callback
    best_epoch: int | None
    if isinstance(checkpoint, Checkpoint) and checkpoint.best_epoch is not None:
        metrics, best_epoch = checkpoint.best_metrics, checkpoint.best_epoch
    else:
        metrics, best_epoch = _logged(trainer), None if isinstance(checkpoint, Checkpoint) else trainer.current_epoch
        if not _ended_with_a_validation(trainer):
            metrics = {name: value for name, value in metrics.items() if not name.startswith("val/")}
    throughput = _throughput(trainer)
    return (
        _of_splits(metrics, "train/", "val/")
        | {
            "best_epoch": best_epoch,
            "epochs": trainer.current_epoch,
            "train_seconds": round(throughput.train_seconds, 6),
            "images_per_second": round(throughput.images_per_second, 1),
        }
        | ({"learnt_after": stop.learnt_after} if (stop := next(_callbacks(trainer, StopWhenLearned), None)) else {})
    )


def write_time(trainer: Trainer, datamodule: DataModule, run_dir: Path) -> None:
    """Write time.json: each stage's share of the time, how busy the CUDA device or the CPU's core was, and a diagnosis.

    Nothing is written if the shares were not measured.
    """
    throughput = _throughput(trainer)
    if not throughput.shares:
        return
    device, loop = trainer.strategy.root_device.type, trainer.fit_loop.epoch_loop
    run = StageTimes(
        throughput.shares,
        throughput.num_steps,
        device,
        datamodule.batch_size,
        len(datamodule.training),
        throughput.device_busy,
        datamodule.in_memory,
        is_fast=isinstance(loop, FastLoop) and (loop.cuda_graph or device != "cuda"),
        gpu_unused=device == "cpu" and torch.cuda.is_available(),
        core_share=throughput.core_share,
    )
    shares = {stage: round(share, 4) for stage, share in throughput.shares.items()}
    busy = {} if run.device_busy is None else {"device_busy": round(run.device_busy, 4)}
    busy |= {"core_share": round(run.core_share, 4)} if device == "cpu" else {}
    write_json(run_dir / "time.json", {**shares, **busy, "diagnosis": diagnose(run)})


def scores_of(split: str, trainer: Trainer) -> dict[str, float | None]:
    """Return the metrics of the validation or test that has just run."""
    return _of_splits(_logged(trainer), f"{split}/")


def log_outcome(trainer: Trainer, metrics: dict[str, Any]) -> None:
    """Log the numbers of metrics.json by which runs are compared, at the last epoch.

    | tag | meaning |
    | --- | --- |
    | best/epoch | the epoch of best.ckpt, counted from 1 |
    | best/val/…, best/test/… | the scores of best.ckpt; the loss only if there is no other |
    | cost/num_parameters, cost/train_seconds | the size of the network and the time of its training |

    They have names of their own because tables of runs show the last value of each, which for val/accuracy is the last
    epoch's and not the best.
    """
    of_splits = {name: value for name, value in metrics.items() if name.startswith(("val/", "test/"))}
    chosen = {name: value for name, value in of_splits.items() if not name.endswith("/loss")} or of_splits
    values = {"best/epoch": metrics["best_epoch"]} | {f"best/{name}": value for name, value in chosen.items()}
    values |= {f"cost/{name}": metrics[name] for name in ("num_parameters", "train_seconds")}
    for logger in trainer.loggers:
        logger.log_metrics({tag: value for tag, value in values.items() if value is not None}, step=metrics["epochs"])
        logger.finalize("success")


def objective(config: DictConfig, metrics: dict[str, Any]) -> Objective:
    """Return the numbers that a search optimises: the monitored one, or those that config.objectives names."""
    names = config.get("objectives")
    return [metrics.get(name) for name in names] if names else metrics.get(config.monitor)


def _throughput(trainer: Trainer) -> Throughput:
    return next(_callbacks(trainer, Throughput), Throughput())


def _callbacks(trainer: Trainer, kind: type[Kind]) -> Iterator[Kind]:
    return (callback for callback in trainer.callbacks if isinstance(callback, kind))  # type: ignore[attr-defined]


def _ended_with_a_validation(trainer: Trainer) -> bool:
    """Return whether the last epoch had a validation. Lightning counts its batches anew in every epoch."""
    return trainer.fit_loop.epoch_loop.val_loop.batch_progress.total.completed > 0


def _logged(trainer: Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _of_splits(metrics: dict[str, float], *splits: str) -> dict[str, float | None]:
    return {name: rounded(value) for name, value in sorted(metrics.items()) if name.startswith(splits)}


def rounded(value: float) -> float | None:
    """Round to six decimals, the precision of float32 sums. NaN and infinities become None, for JSON lacks them."""
    return round(float(value), 6) if math.isfinite(value) else None


def resume_command(run_dir: Path) -> str:
    return this_script([f"resume={short_path(run_dir)}"])


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_state(project: Path) -> dict[str, Any] | None:
    """Commit and whether files differ from it; None without git or where the project is not the repository itself."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(project), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != project:
            return None
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
