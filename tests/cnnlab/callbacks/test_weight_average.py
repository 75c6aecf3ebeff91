"""The average of the weights is validated, saved, tested and evaluated."""

from collections.abc import Callable

import pytest
import torch

from cnnlab.callbacks.weight_average import WeightAverage
from conftest import Finished


def test_the_average_is_what_counts(smoke: Callable[..., Finished], command: Callable[..., Finished]) -> None:
    run = smoke("callbacks=ema", "callbacks.weight_average.decay=0.5", "scheduler=none", "model=linear", "logger=none")
    assert run.folder is not None
    checkpoint = torch.load(run.folder / "checkpoints/best.ckpt")
    average, last = checkpoint["state_dict"], checkpoint["current_model_state"]
    (weight,) = (name for name in last if name.endswith("weight"))
    assert 0 < (average[weight] - last[weight]).norm() < 0.5 * last[weight].norm()
    # only: workbench
    tested = {name: value for name, value in run.metrics.items() if name.startswith("test/")}
    assert command("evaluate.py", f"run={run.folder}").status == 0
    evaluated = (run.folder / "evaluation/test/metrics.json").read_text(encoding="utf-8")
    assert all(f'"{name}": {value}' in evaluated for name, value in tested.items())
    # end only


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_remembers_nothing_or_everything_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=f"decay must be at least 0 and less than 1, got {decay}"):
        WeightAverage(decay)
