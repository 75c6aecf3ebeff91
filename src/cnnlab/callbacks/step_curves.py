"""Logs curves within the epochs: loss and learning rate at about fifty points of a run."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

_NUM_POINTS = 50


class StepCurves(Callback):
    """Logs with the optimizer step as x. Only at these points does a step wait for the device.

    | tag | meaning |
    | --- | --- |
    | train/loss_step | loss of that step's batch, over all processes |
    | optimizer/learning_rate | of the first parameter group, used in that step |
    """

    def __init__(self) -> None:
        self._every = 1
        self._learning_rate = 0.0
        self._last_step = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        num_steps = trainer.estimated_stepping_batches
        self._every = max(1, int(num_steps) // _NUM_POINTS) if num_steps != float("inf") else 100

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step % self._every == 0 and trainer.optimizers:
            self._learning_rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step - 1
        loss_of_batch = outputs.get("loss")  # none of a batch that a module passes over or optimises by itself
        is_first = step > self._last_step  # with accumulated gradients many batches make a step
        if step % self._every == 0 and is_first and loss_of_batch is not None:
            self._last_step = step
            of_all_processes = trainer.strategy.reduce(loss_of_batch.clone(), reduce_op="mean")
            loss = float(of_all_processes) * trainer.accumulate_grad_batches  # Lightning has divided by it
            values = {"train/loss_step": loss, "optimizer/learning_rate": self._learning_rate}
            for logger in trainer.loggers:
                logger.log_metrics(values, step=step)
