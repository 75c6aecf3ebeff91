"""Looking at the data and the graph changes nothing of the training."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from cnnlab.models.linear import Linear
from conftest import SMOKE, Finished


@pytest.fixture
def smoke(train: Callable[..., Finished]) -> Callable[..., Finished]:
    """A run of a few batches whose network TensorBoard draws."""
    return lambda *arguments: train(*SMOKE, *arguments)


def test_training_is_the_same_with_and_without(smoke: Callable[..., Finished]) -> None:
    settings = ["model.dropout=0.5", "model.norm=batch", "augment=affine", "test=false"]
    seen, unseen = smoke(*settings), smoke(*settings, "~callbacks.preview")
    for name in ("train/loss", "val/loss"):
        assert seen.metrics[name] == unseen.metrics[name]


def test_the_grid_shows_the_batch(smoke: Callable[..., Finished]) -> None:
    run = smoke("test=false", "data.batch_size=16")
    assert run.folder is not None
    events = EventAccumulator(str(run.folder))
    events.Reload()
    (picture,) = events.Images("data/training_batch")
    pixels = np.asarray(Image.open(io.BytesIO(picture.encoded_image_string)))
    rows, columns, side, line, gap = 4, 5, 3 * 28, 21, 6
    assert pixels.shape == (rows * (side + line + gap) + gap, columns * (side + gap) + gap, 3)
    assert pixels[: gap + side, :, 0].min() == 0
    assert pixels[gap + side : gap + side + line].min() < 100, "labels"


def test_a_graph_that_cannot_be_drawn_stops_nothing(
    smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = ["test=false", "model=linear"]
    assert "note" not in smoke(*quick, "trainer.precision=64-true").out

    def forward(self: Linear, x: Tensor) -> Tensor:
        if torch.jit.is_tracing():
            raise RuntimeError("cannot be traced\nat all")
        outputs: Tensor = self.classifier(x)
        return outputs

    monkeypatch.setattr(Linear, "forward", forward)
    run = smoke(*quick)
    assert run.status == 0, run.err
    assert "note    TensorBoard shows no graph of this network: RuntimeError: cannot be traced\n" in run.out
    assert run.metrics["epochs"] == 1


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((2, 40), (4 * (2 * 48 + 45 + 6) + 6, 4 * (2 * 3 * 40 + 6) + 6)),
        ((1, 10, 8, 8), (12 * (9 * 8 + 29 + 6) + 6, 8 * 9 * (8 + 1) + 12)),
    ],
    ids=["series", "volume"],
)
def test_signals_are_curves_and_volumes_rows_of_slices(
    shape: tuple[int, ...], size: tuple[int, int], smoke: Callable[..., Finished], tmp_path: Path
) -> None:
    x, y = np.random.default_rng(0).random((60, *shape), dtype=np.float32), np.arange(60) % 3
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    run = smoke("data=npz", f"data.path={tmp_path / 'own.npz'}", "data.train_size=null", "model=linear", "test=false")
    assert run.folder is not None, run.err
    events = EventAccumulator(str(run.folder))
    events.Reload()
    (picture,) = events.Images("data/training_batch")
    pixels = np.asarray(Image.open(io.BytesIO(picture.encoded_image_string)))
    assert pixels.shape[:2] == size
    assert (pixels.min(), pixels.max()) == (0, 255)
