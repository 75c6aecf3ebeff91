"""Ends a run whose monitored number no longer improves."""

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping

from cnnlab.speed import lightning_internals


class EarlyStopping(LightningEarlyStopping):
    """Lightning's early stopping, with a patience that counts every value of `monitor` only once.

    A number of the validation, val/…, is checked after every validation, even in the middle of an epoch and however
    many epochs lie between two validations. Any other number is checked at the end of every epoch.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        lightning_internals.check_after_validation(self, not self.monitor.startswith("val/"))
