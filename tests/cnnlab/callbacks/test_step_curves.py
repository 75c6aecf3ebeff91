"""About fifty points a run, whatever its length."""

from collections.abc import Callable

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import Finished


@pytest.mark.parametrize(("batch_size", "epochs"), [(4, 1), (2, 2), (8, 1)])
def test_about_fifty_points(batch_size: int, epochs: int, train: Callable[..., Finished]) -> None:
    settings = ["trainer=cpu", "data.train_size=256", "data.val_size=50", "model=linear", "test=false"]
    run = train(*settings, f"data.batch_size={batch_size}", f"trainer.max_epochs={epochs}")
    assert run.folder is not None
    events = EventAccumulator(str(run.folder))
    events.Reload()
    steps = [event.step for event in events.Scalars("2_steps/train/loss")]
    num_steps = 256 // batch_size * epochs
    assert min(num_steps, 32) <= len(steps) <= 65
    assert steps[0] == 0
    assert max(steps) < num_steps
    assert [event.step for event in events.Scalars("2_steps/learning_rate")] == steps


def test_accumulated_gradients_are_one_step_with_the_whole_loss(smoke: Callable[..., Finished]) -> None:
    run = smoke("trainer.accumulate_grad_batches=2", "model=linear", "test=false", "optimizer.lr=1e-9")
    assert run.folder is not None
    events = EventAccumulator(str(run.folder))
    events.Reload()
    points = events.Scalars("2_steps/train/loss")
    assert [point.step for point in points] == [0, 1, 2, 3]
    mean = sum(point.value for point in points) / len(points)
    assert mean == pytest.approx(run.metrics["train/loss"], rel=0.1)
