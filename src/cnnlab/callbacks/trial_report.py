"""Connects a run with the search that it belongs to."""

import logging

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping

log = logging.getLogger(__name__)


class TrialReport(EarlyStopping):
    """Report `monitor` to the search after every epoch, and stop the run early if the search prunes it.

    An epoch with several validations reports the last one, and an epoch without a validation reports no val/… number.
    A pruned run finishes like any other, with metrics.json, checkpoints and a closed TensorBoard log. If the run has
    several processes, the first one reports and all of them stop. In a run outside a search the callback does nothing.

    It derives from EarlyStopping because Lightning calls such callbacks last, after the module has logged the train/…
    numbers of the epoch.

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
