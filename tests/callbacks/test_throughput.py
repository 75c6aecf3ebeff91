"""Training time is training time: validation is not in it, parts of a resumed run add up."""

import time
from collections.abc import Callable

import pytest

from cnnlab.classifier import Classifier
from conftest import Finished


def test_validation_is_left_out(smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch) -> None:
    validate = Classifier.validation_step

    def slow(self: Classifier, batch: tuple[object, object], batch_idx: int) -> None:
        time.sleep(1.0)
        validate(self, batch, batch_idx)  # type: ignore[arg-type]

    monkeypatch.setattr(Classifier, "validation_step", slow)
    began = time.perf_counter()
    run = smoke("logger=none", "test=false", "data.val_size=100", "model=linear")
    assert time.perf_counter() - began > 1
    assert run.metrics["train_seconds"] < 0.9
    assert run.metrics["images_per_second"] == pytest.approx(256 / run.metrics["train_seconds"], rel=0.01)


def test_the_parts_of_a_resumed_run_add_up(smoke: Callable[..., Finished], train: Callable[..., Finished]) -> None:
    first = smoke("logger=none", "test=false", "scheduler=none", "model=linear")
    before = first.metrics["train_seconds"]
    assert train(f"resume={first.folder}", "trainer.max_epochs=2").status == 0
    after = first.metrics
    assert after["train_seconds"] > before
    assert after["images_per_second"] == pytest.approx(512 / after["train_seconds"], rel=0.01)
