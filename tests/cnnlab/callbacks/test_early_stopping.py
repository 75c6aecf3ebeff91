"""Patience counts validations, not epochs without one."""

from collections.abc import Callable

import pytest

from conftest import Finished


@pytest.mark.parametrize(
    ("settings", "epochs", "steps"),
    [
        (["trainer.check_val_every_n_epoch=2"], 4, 32),  # the first validation counts as an improvement
        (["trainer.val_check_interval=0.5"], 1, 8),
        (["trainer.val_check_interval=3"], 1, 6),  # in the middle of an epoch
        (["monitor=train/loss", "mode=min", "trainer.check_val_every_n_epoch=5"], 2, 16),
    ],
)
def test_patience(settings: list[str], epochs: int, steps: int, smoke: Callable[..., Finished]) -> None:
    stopping = ["callbacks=early_stopping", "callbacks.early_stopping.patience=1"]
    stopping += ["callbacks.early_stopping.min_delta=5", "trainer.max_epochs=6", "scheduler=none"]
    run = smoke(*stopping, *settings, "logger=none", "model=linear", "test=false")
    assert run.status == 0, run.err
    assert run.metrics["epochs"] == epochs
    assert run.time["diagnosis"].startswith(f"{steps} steps are too few")
