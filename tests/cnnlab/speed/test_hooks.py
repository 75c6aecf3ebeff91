"""Empty hooks are taken away, all others stay."""

from typing import Any

import pytest
from cnnlab.speed.hooks import skip_empty_hooks
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback, LearningRateMonitor, ModelCheckpoint


class Module(LightningModule):
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        pass


class Listener(Callback):
    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pass


class Inheriting(Listener):
    pass


@pytest.mark.parametrize(
    ("guest", "kept"),
    [
        (Module(), {"on_train_batch_end"}),
        (Inheriting(), {"on_after_backward"}),
        (ModelCheckpoint(), {"on_train_batch_end"}),
        (LearningRateMonitor(), {"on_train_batch_start"}),
        (LambdaCallback(on_before_backward=print), {"on_before_backward"}),
        (Callback(), set()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_is_overridden_stays(guest: Callback | LightningModule, kept: set[str]) -> None:
    skip_empty_hooks([guest])
    hooks = ["on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward"]
    hooks += ["on_before_optimizer_step", "on_train_batch_end"]
    assert {name for name in hooks if callable(getattr(guest, name))} == kept
    assert callable(guest.on_train_epoch_end)
    assert callable(guest.on_validation_batch_end)
