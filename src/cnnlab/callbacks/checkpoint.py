"""Writes best.ckpt and last.ckpt: weights, what a bit-identical resumption needs, and a description of the data."""

import os
import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from cnnlab.speed import lightning_internals

# Lightning's own key also names the monitor, so that a run may have several checkpoints.
_OLDER_KEY = "Checkpoint"
_LOSS = "val/loss"  # decides between equal scores


class Checkpoint(ModelCheckpoint):
    """Save <run>/checkpoints/last.ckpt at the end of every epoch and best.ckpt when `monitor` has improved.

    best.ckpt holds exactly the weights that were scored. It is therefore written right after a validation, even in the
    middle of an epoch, or at the end of an epoch if `monitor` is not a number of the validation. Of equal scores, which
    small validation sets often have, the one with the lower val/loss is better, and else the first. last.ckpt, from
    which a run is resumed, is written only at the end of an epoch.

    In addition to Lightning's content a checkpoint holds the states of the random number generators, a description of
    the data set under the key "data", and the epoch and metrics of the best checkpoint. A run folder may be moved.

    Args:
        monitor: a logged number that chooses the best weights; val/… is one of the validation.
        mode: "max" or "min".

    Attributes:
        best_epoch: in which best.ckpt was written, counted from 1; None before the first score.
        best_metrics: the val/… numbers of the weights in best.ckpt, if they were validated, and the train/… numbers of
            their epoch.
    """

    def __init__(self, monitor: str = "val/accuracy", mode: str = "max") -> None:
        super().__init__(
            filename="best",
            monitor=monitor,
            mode=mode,
            save_last=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )
        self.best_epoch: int | None = None
        self.best_metrics: dict[str, float] = {}
        self._loss_of_best: float | None = None  # of the weights in best.ckpt
        self._validated_step = -1
        self._awaited: dict[str, float] = {}  # metrics that the schedules have not been given yet, see below
        self._generators: dict[str, Any] | None = None

    # Nothing is saved between two batches, so this is the empty hook of every callback in place of ModelCheckpoint's.
    on_train_batch_end = Callback.on_train_batch_end

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.dirpath = os.path.join(os.path.realpath(trainer.default_root_dir), "checkpoints")
        super().setup(trainer, pl_module, stage)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if trainer.fit_loop.restarting:
            lightning_internals.begin_an_epoch(trainer)  # last.ckpt is always from the end of an epoch
        self._advance_plateau_schedules(trainer)
        if self._generators is not None:
            _restore_generators(self._generators)
            self._generators = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not _saves(trainer):
            return
        self._validated_step = trainer.global_step
        if _is_of_validation(self.monitor):
            self._save_if_best(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not _saves(trainer):
            return
        if not _is_of_validation(self.monitor):
            self._save_if_best(trainer)
        elif self.best_epoch == trainer.current_epoch + 1:  # the validation came before the epoch's own numbers
            self.best_metrics |= _logged(trainer, "train/")
        self._awaited = _awaited_by_plateau_schedules(trainer)
        # Lightning's own hook writes last.ckpt only where it has just written a best.ckpt.
        lightning_internals.save_last(self, trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save nothing, because everything was saved at the end of the last epoch."""

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["generators"] = _generator_states()
        describe = getattr(getattr(trainer, "datamodule", None), "description", None)
        if describe is not None:
            checkpoint["data"] = describe()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Continue with the best.ckpt in the folder, which may be newer than last.ckpt if the process was killed."""
        self._generators = checkpoint.get("generators")
        known = self._own_state(checkpoint)
        if known is None or trainer.state.fn != TrainerFn.FITTING:
            return
        best = os.path.join(str(self.dirpath), f"{self.filename}{self.FILE_EXTENSION}")
        if not os.path.isfile(best):
            known |= {"best_epoch": None, "best_metrics": {}, "best_k_models": {}, "best_model_path": ""}
            return
        written = self._own_state(trainer.strategy.load_checkpoint(best))
        if written is not None and _score_and_loss(written) != _score_and_loss(known):
            kept = ("last_model_path", "awaited")
            known |= {name: value for name, value in written.items() if name not in kept}

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Return whether a score is better than the best one, or as good with a lower val/loss."""
        loss, lowest = trainer.callback_metrics.get(_LOSS), self._loss_of_best
        is_lower = loss is not None and lowest is not None and float(loss) < lowest
        is_of_these_weights = self._validated_step == trainer.global_step
        if is_lower and is_of_these_weights and current is not None and self.best_model_score is not None:
            is_tie = bool(current == self.best_model_score)
            return trainer.strategy.reduce_boolean_decision(is_tie) or super().check_monitor_top_k(trainer, current)
        return super().check_monitor_top_k(trainer, current)

    def _own_state(self, checkpoint: dict[str, Any]) -> dict[str, Any] | None:
        """Return the state of this callback in a checkpoint. Older ones hold it under the name of its class alone."""
        states = checkpoint.get("callbacks", {})
        if _OLDER_KEY in states:
            states[self.state_key] = states.pop(_OLDER_KEY)
        state: dict[str, Any] | None = states.get(self.state_key)
        return state

    def state_dict(self) -> dict[str, Any]:
        own = {"best_epoch": self.best_epoch, "best_metrics": self.best_metrics, "awaited": self._awaited}
        return super().state_dict() | own

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best so far, even if the run folder has been moved since it was saved."""
        assert self.dirpath is not None, "setup comes first"
        here = {
            key: os.path.join(self.dirpath, os.path.basename(path)) if path else path
            for key, path in state_dict.items()
            if key in ("best_model_path", "kth_best_model_path", "last_model_path")
        }
        scores = {
            os.path.join(self.dirpath, os.path.basename(path)): score
            for path, score in state_dict["best_k_models"].items()
        }
        super().load_state_dict(state_dict | here | {"dirpath": self.dirpath, "best_k_models": scores})
        self.best_epoch = state_dict["best_epoch"]
        self.best_metrics = state_dict["best_metrics"]
        self._loss_of_best = self.best_metrics.get(_LOSS)
        self._awaited = state_dict.get("awaited", {})

    def _advance_plateau_schedules(self, trainer: Trainer) -> None:
        """Give plateau schedules the last epoch's metrics, as Lightning does, but only after last.ckpt is written."""
        for config in trainer.lr_scheduler_configs:
            if config.monitor in self._awaited and trainer.current_epoch % config.frequency == 0:
                config.scheduler.step(self._awaited[config.monitor])  # type: ignore[arg-type]

    def _save_if_best(self, trainer: Trainer) -> None:
        """Write best.ckpt if the present weights have the best score so far.

        Raises:
            MisconfigurationException: if `monitor` was not logged.
        """
        values = lightning_internals.logged_values(self, trainer)
        if self.check_monitor_top_k(trainer, values.get(str(self.monitor))):
            self.best_epoch = trainer.current_epoch + 1
            splits = ["val/"] if self._validated_step == trainer.global_step else []
            if not _is_of_validation(self.monitor):
                splits.append("train/")
            self.best_metrics = _logged(trainer, *splits)
        lightning_internals.save_best(self, trainer)
        self._loss_of_best = self.best_metrics.get(_LOSS)


def load_scored_weights(trainer: Trainer) -> None:
    """Put the weights of best.ckpt, or of last.ckpt in a run without a validation, into the trainer's module.

    Lightning's own way, trainer.test(ckpt_path=…), would also set every callback back to its state at that epoch.
    """
    saved = trainer.checkpoint_callback
    if isinstance(saved, ModelCheckpoint) and (path := saved.best_model_path or saved.last_model_path):
        checkpoint = trainer.strategy.load_checkpoint(path)
        trainer.lightning_module.on_load_checkpoint(checkpoint)
        trainer.lightning_module.load_state_dict(checkpoint["state_dict"])


def _saves(trainer: Trainer) -> bool:
    """Return whether checkpoints are written: only in a training, and not in one of Lightning's trial runs."""
    is_trial_run = trainer.sanity_checking or trainer.fast_dev_run  # type: ignore[attr-defined]
    return trainer.state.fn == TrainerFn.FITTING and not is_trial_run


def _awaited_by_plateau_schedules(trainer: Trainer) -> dict[str, float]:
    """Return the metrics that plateau schedules are given after this epoch; none if the epoch was cut short."""
    if not trainer.is_last_batch:
        return {}
    watched = [str(config.monitor) for config in trainer.lr_scheduler_configs if config.reduce_on_plateau]
    return {name: float(trainer.callback_metrics[name]) for name in watched if name in trainer.callback_metrics}


def _score_and_loss(state: dict[str, Any]) -> tuple[Any, float | None]:
    return state["best_model_score"], state["best_metrics"].get(_LOSS)


def _is_of_validation(monitor: str | None) -> bool:
    return monitor is not None and monitor.startswith("val/")


def _logged(trainer: Trainer, *splits: str) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(splits)}


def _generator_states() -> dict[str, Any]:
    """Return the states of all global generators as tensors and plain containers, which can be loaded weights-only."""
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (keys.tolist(), int(position), int(has_gauss), float(gauss)),  # type: ignore[union-attr]
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore_generators(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    keys, *rest = states["numpy"]
    np.random.set_state(("MT19937", np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
