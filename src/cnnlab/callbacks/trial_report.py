"""The bridge between a run and the search it belongs to."""

import logging

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping

log = logging.getLogger(__name__)


class TrialReport(EarlyStopping):
    """Report `monitor` to the search after every epoch, and stop the run early where the search has seen enough.

    An epoch reports its own value, that of its last validation if it had several; one without a validation reports
    no val/… at all. The run then finishes like any other: metrics.json, checkpoints and a closed TensorBoard log. Only
    the first of several processes reports; all of them stop. In a run outside a search it does nothing.

    It is an EarlyStopping because Lightning calls these last, when the module has logged the epoch's train/…

    Args:
        monitor: a logged number.
    """

    def __init__(self, monitor: str) -> None:
        super().__init__(monitor)
        self._value: float | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.monitor.startswith("val/") and not trainer.sanity_checking:
            self._value = _logged(trainer, self.monitor)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        from async_optuna import trial

        if not self.monitor.startswith("val/"):
            self._value = _logged(trainer, self.monitor)
        current, reason = trial.current(), None
        if current is not None and trainer.is_global_zero and self._value is not None:
            reason = current.report(self._value, trainer.current_epoch + 1)
        self._value = None
        if trainer.world_size > 1:
            reason = trainer.strategy.broadcast(reason)
        if reason is not None:
            log.info("pruned: %s", reason)
            trainer.should_stop = True


def _logged(trainer: Trainer, name: str) -> float | None:
    value = trainer.callback_metrics.get(name)
    return None if value is None else float(value)
