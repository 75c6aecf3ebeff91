"""Connects a run with the search that it belongs to."""

import logging

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor

log = logging.getLogger(__name__)


class TrialReport(EarlyStopping):
    """Report `monitor` to the search after every epoch, and stop the run early if the search prunes it.

    An epoch with several validations reports the last one. An epoch in which the number was not computed anew, such as
    one without a validation, reports nothing. In its last epoch a run is not pruned: nothing would be saved, and it
    would no longer count as complete. A pruned run finishes like any other, with metrics.json, checkpoints and a closed
    TensorBoard log. If the run has several processes, the first one reports and all of them stop. In a run outside a
    search the callback does nothing.

    It derives from EarlyStopping because Lightning calls such callbacks last, after the module has logged the train/…
    numbers of the epoch.

    Args:
        monitor: a logged number.
    """

    def __init__(self, monitor: str) -> None:
        super().__init__(monitor)
        self._old: Tensor | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._old = trainer.callback_metrics.get(self.monitor)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing, unlike in EarlyStopping: there may be another validation in this epoch."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        from async_optuna import trial

        value = trainer.callback_metrics.get(self.monitor)
        current, reason = trial.current(), None
        # Lightning keeps the last number of each name, and makes a new tensor whenever it computes one.
        if current is not None and trainer.is_global_zero and value is not None and value is not self._old:
            is_last = _is_last_epoch(trainer)
            current.num_steps = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else None
            reason = current.report(float(value), trainer.current_epoch + 1, is_last=is_last)
        if trainer.world_size > 1:
            reason = trainer.strategy.broadcast(reason)
        if reason is not None:
            log.info("pruned: %s", reason)
            trainer.should_stop = True


def _is_last_epoch(trainer: Trainer) -> bool:
    is_at_the_end = trainer.current_epoch + 1 == trainer.max_epochs or trainer.global_step == trainer.max_steps
    return is_at_the_end or trainer.should_stop
