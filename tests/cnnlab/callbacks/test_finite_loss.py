"""Weights that are no numbers are saved nowhere."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Finished


@pytest.mark.parametrize("settings", ["trainer.max_steps=3", "trainer.val_check_interval=3"])
def test_between_two_looks(settings: str, smoke: Callable[..., Finished]) -> None:
    batches = ["trainer.limit_train_batches=60", "data.batch_size=4"]  # looked at after every sixth
    run = smoke(*batches, "optimizer=sgd", "optimizer.lr=1e12", "scheduler=none", "logger=none", settings)
    assert run.status == 1
    assert "error: the training loss became nan" in run.err
    assert not list(Path("outputs").rglob("*.ckpt"))
