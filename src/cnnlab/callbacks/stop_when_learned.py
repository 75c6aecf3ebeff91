"""Ends a run that only has to show that the network can learn its training data completely."""

import sys

from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason


class StopWhenLearned(EarlyStopping):
    """End the run in the first epoch in which `monitor` has passed `threshold`.

    Args:
        monitor: a number of the training data.
        mode: "max" or "min": whether `monitor` must rise above or fall below `threshold`.
        threshold: the value from which on the training data count as learnt.

    Attributes:
        learnt_after: the number of epochs it took; None until then.
    """

    def __init__(self, monitor: str = "train/accuracy", mode: str = "max", threshold: float = 0.9999) -> None:
        super().__init__(
            monitor, mode=mode, patience=sys.maxsize, stopping_threshold=threshold, check_on_train_epoch_end=True
        )

    @property
    def learnt_after(self) -> int | None:
        return self.stopped_epoch + 1 if self.stopping_reason == EarlyStoppingReason.STOPPING_THRESHOLD else None
