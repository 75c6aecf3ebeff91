"""End a run whose monitored number no longer improves."""

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping

from cnnlab.speed import lightning_internals


class EarlyStopping(LightningEarlyStopping):
    """Lightning's early stopping, with a patience that counts new values of `monitor` and never an old one again.

    A number of the validation, val/…, is looked at after every validation, wherever in an epoch it comes and however
    many epochs lie between two; any other number at the end of every epoch.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        lightning_internals.check_after_validation(self, not self.monitor.startswith("val/"))
