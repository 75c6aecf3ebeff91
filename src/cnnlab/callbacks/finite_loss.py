"""Stops a run whose loss is no longer a finite number, because its network learns nothing any more."""

import math
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from cnnlab.errors import UserError

_CHECKS_PER_EPOCH = 10
_LONG_EPOCH = 10_000


class FiniteLoss(Callback):
    """Raise UserError when the training loss is NaN or infinite.

    The loss is checked about ten times an epoch, before every validation and at the end of the epoch. Weights that are
    NaN stay NaN, so no failure is missed between two checks, and no checkpoint of such weights is written.
    """

    def __init__(self) -> None:
        self._every = 1
        self._loss: Tensor | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        num_batches = min(trainer.num_training_batches, _LONG_EPOCH)
        self._every = max(1, int(num_batches) // _CHECKS_PER_EPOCH)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._loss = outputs.get("loss")  # none of a batch that a module passes over or optimises by itself
        if (batch_idx + 1) % self._every == 0:
            self._check(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check(trainer)

    def _check(self, trainer: Trainer) -> None:
        if self._loss is None:
            return
        # All processes get the same number and stop together: one that went on would wait for the others for ever.
        loss = float(trainer.strategy.reduce(self._loss.clone(), reduce_op="mean"))
        if not math.isfinite(loss):
            rate = trainer.optimizers[0].param_groups[0]["lr"]
            raise UserError(
                f"the training loss became {loss} in epoch {trainer.current_epoch + 1} (learning rate {rate:.2g}); "
                "try a lower optimizer.lr, or trainer.gradient_clip_val=1"
            )
