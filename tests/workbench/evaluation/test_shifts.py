"""Test-time shifts: the mean probabilities over a sample and its moved copies, beside the plain scores."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional

from cnnlab.errors import UserError
from cnnlab.saved_run import SavedModel, load_data, load_model
from cnnlab.workbench.evaluation.shifts import MeanOverShifts, with_shifts
from conftest import Finished

BACKGROUND = torch.tensor([-0.5, 2.0])


def moved(sample: Tensor, steps: tuple[int, ...]) -> Tensor:
    """A sample (C, *spatial) moved by so many positions along each spatial dim, written out position by position."""
    result = BACKGROUND.reshape(-1, *[1] * len(steps)).expand(sample.shape).clone()
    for place in torch.cartesian_prod(*[torch.arange(side) for side in sample.shape[1:]]).reshape(-1, len(steps)):
        source = [int(i) - step for i, step in zip(place, steps, strict=True)]
        if all(0 <= i < side for i, side in zip(source, sample.shape[1:], strict=True)):
            result[(slice(None), *place.tolist())] = sample[(slice(None), *source)]
    return result


@pytest.mark.parametrize(("shape", "size"), [((2, 5), 2), ((2, 4, 3), 1), ((2, 3, 3, 4), 1)])
def test_the_mean_over_all_moves(shape: tuple[int, ...], size: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    samples = torch.randn(2, *shape)
    network(samples)
    ways = torch.cartesian_prod(*[torch.arange(-size, size + 1)] * (len(shape) - 1)).reshape(-1, len(shape) - 1)
    assert len(ways) == (2 * size + 1) ** (len(shape) - 1)
    copies = [torch.stack([moved(sample, tuple(way.tolist())) for sample in samples]) for way in ways]
    mean = torch.stack([network(copy).softmax(dim=1) for copy in copies]).mean(dim=0)
    torch.testing.assert_close(MeanOverShifts(network, size, BACKGROUND)(samples).exp(), mean)


@pytest.mark.usefixtures("white_figures")
def test_a_run_with_shifts(command: Callable[..., Finished], trained: Path) -> None:
    done = command("evaluate.py", "shifts=1")
    assert (done.status, done.err) == (0, "")
    metrics: dict[str, Any] = json.loads((trained / "evaluation/test/metrics.json").read_text(encoding="utf-8"))
    before = json.loads((trained / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["shifts"] == 1
    assert [metrics[f"test/{name}"] for name in ("accuracy", "loss")] == [
        before[f"test/{name}"] for name in ("accuracy", "loss")
    ]
    saved = load_model(trained)
    datamodule = load_data(saved)
    images, labels = (torch.cat(parts) for parts in zip(*datamodule.test_dataloader(), strict=True))
    black = (0 - datamodule.mean[0]) / datamodule.std[0]
    padded = functional.pad(images, (1, 1, 1, 1), value=black)
    with torch.no_grad():
        places = [padded[..., top : top + 28, left : left + 28] for top in range(3) for left in range(3)]
        mean = torch.stack([saved.model(place).softmax(dim=1) for place in places]).mean(dim=0)
    accuracy = float((mean.argmax(dim=1) == labels).float().mean())
    assert metrics["test/shifted_accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert metrics["test/shifted_loss"] == pytest.approx(float(functional.nll_loss(mean.log(), labels)), abs=1e-4)
    assert f"shifted accuracy           {accuracy:.2%}" in done.out
    assert "shifted                    the mean over moves of up to 1 in each direction" in done.out
    page = (trained / "report.html").read_text(encoding="utf-8")
    assert f"<b>{accuracy:.2%}</b><span>shifted accuracy</span>" in page


@pytest.mark.parametrize(
    ("targets", "input_shape", "learns"),
    [("values", [1, 8, 8], "values"), ("multilabel", [1, 8, 8], "several labels at once"), ("classes", [40], "texts")],
)
def test_what_cannot_be_moved_is_refused(targets: str, input_shape: list[int], learns: str) -> None:
    saved = SavedModel(Path("run"), OmegaConf.create(), nn.Identity(), {"targets": targets, "input_shape": input_shape})
    with pytest.raises(
        UserError, match=f"shifts= moves samples that have one class each, but run learns {learns}; leave"
    ):
        with_shifts(saved, 1)
