"""One permutation of all samples, the same in every split, in memory or not, and told in the data set's name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cnnlab.data.npz import Npz
from cnnlab.data.shuffled_axis import ShuffledAxis
from cnnlab.data.splits import Splits
from cnnlab.errors import UserError

KINDS = {"image": (3, 4, 5), "volume": (1, 2, 3, 4), "series": (2, 6), "text": (1, 6), "spectrogram": (1, 3, 6)}


@pytest.mark.parametrize(
    ("kind", "axis", "dims"),
    [
        ("image", "columns", [-1]),
        ("image", "rows", [-2]),
        ("image", "pixels", [-2, -1]),
        ("volume", "columns", [-1]),
        ("volume", "pixels", [-3, -2, -1]),
        ("series", "time", [-1]),
        ("spectrogram", "time", [-1]),
        ("text", "words", [-1]),
    ],
)
def test_only_these_dims_are_reordered(kind: str, axis: Any, dims: list[int]) -> None:
    shape = KINDS[kind]
    samples = torch.arange(2 * np.prod(shape)).reshape(2, *shape)
    shuffled = ShuffledAxis(axis, kind, shape, seed=3)(samples)
    assert shuffled.shape == samples.shape
    assert not torch.equal(shuffled, samples)
    # Along the dims together each sample and channel holds the values it held, all in one and the same new order.
    flat, reordered = (x.movedim(dims, list(range(-len(dims), 0))).flatten(-len(dims)) for x in (samples, shuffled))
    order = [flat.flatten(0, -2)[0].tolist().index(value) for value in reordered.flatten(0, -2)[0].tolist()]
    assert torch.equal(flat[..., order], reordered)
    assert torch.equal(ShuffledAxis(axis, kind, shape, seed=3)(samples), shuffled)
    assert not torch.equal(ShuffledAxis(axis, kind, shape, seed=4)(samples), shuffled)


def test_an_axis_that_the_data_do_not_have() -> None:
    message = "shuffle_axis must be one of none, columns, rows, pixels for data of the kind image, got time"
    with pytest.raises(UserError, match=f"^{message}$"):
        ShuffledAxis("time", "image", (1, 5, 5), seed=0)


def npz(folder: Path) -> Path:
    x = np.arange(60 * 25, dtype=np.float32).reshape(60, 5, 5)
    y = np.arange(60) % 3
    np.savez(folder / "own.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    return folder / "own.npz"


@pytest.mark.parametrize("in_memory", [True, False])
def test_all_splits_have_one_order_and_the_name_says_so(in_memory: bool, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"path": str(npz(tmp_path)), "batch_size": 4, "in_memory": in_memory, "num_workers": 0}
    plain, shuffled = (Npz(**settings, seed=5, shuffle_axis=axis) for axis in ("none", "pixels"))
    for data in (plain, shuffled):
        data.setup()
    assert (plain.dataset, shuffled.dataset) == ("own", "own-shuffled-pixels")
    reorder = ShuffledAxis("pixels", "image", (1, 5, 5), seed=5)
    for split in ("val_dataloader", "test_dataloader"):
        for (before, labels), (after, same) in zip(getattr(plain, split)(), getattr(shuffled, split)(), strict=True):
            assert torch.equal(labels, same)
            assert torch.equal(reorder(before), after)
    assert shuffled.mean == pytest.approx(plain.mean)


def test_a_test_split_that_is_read_later_is_reordered_too(tmp_path: Path) -> None:
    class Later(Npz):
        def read(self) -> Splits:
            splits = super().read()
            test = splits.test
            assert not callable(test)
            return replace(splits, test=lambda: test)

    path = str(npz(tmp_path))
    plain, shuffled = (Later(path=path, batch_size=4, shuffle_axis=axis) for axis in ("none", "rows"))
    for data in (plain, shuffled):
        data.setup()
    for _ in range(2):  # asked for twice, reordered once
        before, after = (next(iter(data.test_dataloader()))[0] for data in (plain, shuffled))
        assert torch.equal(ShuffledAxis("rows", "image", (1, 5, 5), seed=0)(before), after)
