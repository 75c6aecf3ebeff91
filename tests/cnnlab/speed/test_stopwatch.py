"""Each stage of a step is timed under its own name, and nothing else is."""

import pytest

from cnnlab.speed.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Shows the first number until it is changed."""
    now = [0.0]
    monkeypatch.setattr("cnnlab.speed.stopwatch.perf_counter", lambda: now[0])
    return now


def test_stages_add_up_under_lightnings_names(clock: list[float]) -> None:
    stopwatch = Stopwatch()
    for action, seconds in (
        ("[Strategy]SingleDeviceStrategy.training_step", 2.0),
        ("[Strategy]SingleDeviceStrategy.backward", 3.0),
        ("[Strategy]DDPStrategy.batch_to_device", 0.5),
        ("[Strategy]SingleDeviceStrategy.validation_step", 100.0),
        ("[LightningModule]Classifier.training_step", 100.0),
        ("[Callback]Checkpoint.on_train_batch_end", 100.0),
        ("run_training_batch", 100.0),
    ):
        with stopwatch.profile(action):
            clock[0] += seconds
    stopwatch.start("[_TrainingEpochLoop].train_dataloader_next")
    clock[0] += 0.25
    stopwatch.stop("[_TrainingEpochLoop].train_dataloader_next")
    assert stopwatch.seconds == {"data_wait": 0.25, "copy": 0.5, "forward_backward": 5.0, "optimizer": 0.0}


def test_the_optimizer_begins_where_the_gradients_are_ready(clock: list[float]) -> None:
    stopwatch = Stopwatch()
    with stopwatch.profile("[LightningModule]Classifier.optimizer_step"):
        clock[0] += 10  # forward and backward
        with stopwatch.profile("[LightningModule]Classifier.configure_gradient_clipping"):
            clock[0] += 1
        clock[0] += 0.5
    assert stopwatch.seconds["optimizer"] == 0.5
    with stopwatch.profile("[LightningModule]Classifier.optimizer_step"):
        clock[0] += 10  # a module that optimises by itself: nothing says where its gradients are ready
    assert stopwatch.seconds["optimizer"] == 0.5


def test_a_pause_counts_nothing(clock: list[float]) -> None:
    stopwatch = Stopwatch()
    for paused in (False, True, False):
        if paused:
            stopwatch.pause()
        with stopwatch.profile("[Strategy]SingleDeviceStrategy.batch_to_device"):
            clock[0] += 1
        if paused:
            stopwatch.go_on()
    assert stopwatch.seconds["copy"] == 2.0


def test_an_error_within_a_stage_is_passed_on(clock: list[float]) -> None:
    stopwatch = Stopwatch()

    def fail() -> None:
        with stopwatch.profile("[Strategy]SingleDeviceStrategy.backward"):
            clock[0] += 1
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        fail()
    assert stopwatch.seconds["forward_backward"] == 1
