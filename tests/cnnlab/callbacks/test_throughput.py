"""Training time is training time: validation is not in it, parts of a resumed run add up."""

import re
import time
from collections.abc import Callable

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

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
    assert run.time["validation"] > 0.5
    assert run.metrics["images_per_second"] == pytest.approx(256 / run.metrics["train_seconds"], rel=0.01)


def test_the_parts_of_a_resumed_run_add_up(smoke: Callable[..., Finished], train: Callable[..., Finished]) -> None:
    first = smoke("logger=none", "test=false", "scheduler=none", "model=linear")
    before = first.metrics["train_seconds"]
    assert train(f"resume={first.folder}", "trainer.max_epochs=2").status == 0
    after = first.metrics
    assert after["train_seconds"] > before
    assert after["images_per_second"] == pytest.approx(512 / after["train_seconds"], rel=0.01)


def test_the_shares_are_logged_and_end_in_a_sentence(train: Callable[..., Finished]) -> None:
    settings = ["trainer=cpu", "data.train_size=1000", "data.val_size=100", "data.batch_size=16", "model=linear"]
    run = train(*settings, "trainer.max_epochs=2", "test=false", "logger=tensorboard")
    assert run.folder is not None
    time = run.time
    shares = {name: value for name, value in time.items() if name not in ("core_share", "diagnosis")}
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert shares["forward_backward"] > shares["copy"]
    assert re.search(rf"^  time .*forward\+backward {shares['forward_backward']:.0%}", run.out, re.MULTILINE)
    assert time["diagnosis"] in " ".join(run.out.split())
    events = EventAccumulator(str(run.folder))
    events.Reload()
    for epoch in range(2):
        logged = [events.Scalars(f"throughput/{name}")[epoch] for name in shares]
        assert sum(point.value for point in logged) == pytest.approx(1, abs=1e-3)
        assert {point.step for point in logged} == {epoch + 1}


def test_all_epochs_count_whichever_was_best(smoke: Callable[..., Finished]) -> None:
    run = smoke("logger=none", "model=linear", "optimizer.lr=0", "scheduler=none", "trainer.max_epochs=3")
    assert run.metrics["best_epoch"] == 1
    assert run.time["diagnosis"].startswith("24 steps")


def test_a_run_that_did_not_get_its_core_says_so(
    train: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.perf_counter()

    def a_third() -> tuple[float, float]:
        seconds = time.perf_counter() - began
        return seconds / 3, seconds

    monkeypatch.setattr("cnnlab.speed.threads.core_time", a_third)
    settings = ["trainer=cpu", "data.train_size=1000", "data.val_size=100", "data.batch_size=16", "model=linear"]
    run = train(*settings, "trainer.max_epochs=1", "test=false", "logger=none")
    assert run.time["core_share"] == pytest.approx(1 / 3, abs=0.01)
    assert "training was kept from a core 67% of the time" in run.out


def test_with_another_profiler_nothing_is_split(smoke: Callable[..., Finished]) -> None:
    run = smoke("logger=none", "test=false", "model=linear", "+trainer.profiler=simple")
    assert run.status == 0, run.err
    assert run.folder is not None
    assert not (run.folder / "time.json").exists()
    assert run.metrics["images_per_second"] > 0


@pytest.mark.gpu
@pytest.mark.parametrize("graphs", ["false", "true"])
def test_how_busy_the_gpu_was(graphs: str, on_gpu: Callable[..., Finished]) -> None:
    loop = ["trainer.fast_loop=true", f"trainer.cuda_graph={graphs}"]
    run = on_gpu("data.train_size=2000", "trainer.limit_train_batches=60", "trainer.max_epochs=2", *loop, "test=false")
    assert (run.status, run.err) == (0, "")
    assert 0 < run.time["device_busy"] <= 1
    assert run.time["diagnosis"] in " ".join(run.out.split())
