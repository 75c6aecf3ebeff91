"""Cross-validation: every sample of training and validation is in one validation fold; the test split stays."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cnnlab.data.datamodule import DataModule
from cnnlab.data.image_folder import ImageFolder
from cnnlab.data.lazy_samples import joined
from cnnlab.data.npz import Npz
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Splits
from cnnlab.errors import UserError

NUM_POOLED, NUM_FOLDS = 103, 5


def npz(folder: Path, own_validation: bool) -> Path:
    """Samples that are known by their first number; in classes of different sizes."""
    x = np.arange(143 * 25, dtype=np.float32).reshape(143, 5, 5)
    y = np.where(np.arange(143) % 5 == 0, 0, 1)
    arrays = {"x_train": x[:NUM_POOLED], "y_train": y[:NUM_POOLED], "x_test": x[NUM_POOLED:], "y_test": y[NUM_POOLED:]}
    if own_validation:
        arrays |= {"x_train": x[:83], "y_train": y[:83], "x_val": x[83:NUM_POOLED], "y_val": y[83:NUM_POOLED]}
    np.savez(folder / "own.npz", **arrays)
    return folder / "own.npz"


def numbers(loader: Any, data: DataModule) -> list[int]:
    """Which samples a loader gives, by their first number as it was before normalisation."""
    inputs = torch.cat([inputs for inputs, _ in loader])[:, 0, 0, 0]
    return sorted(((inputs * data.std[0] + data.mean[0]) / 25).round().int().tolist())


@pytest.mark.parametrize("own_validation", [True, False])
@pytest.mark.parametrize("in_memory", [True, False])
def test_every_sample_is_validated_on_once_and_never_beside_its_training(
    own_validation: bool, in_memory: bool, tmp_path: Path
) -> None:
    path = str(npz(tmp_path, own_validation))
    settings: dict[str, Any] = {"path": path, "batch_size": 1, "in_memory": in_memory, "num_workers": 0}
    seen = []
    for fold in range(NUM_FOLDS):
        data = Npz(**settings, fold=fold, num_folds=NUM_FOLDS, seed=fold)
        data.setup()
        validation, training = numbers(data.val_dataloader(), data), numbers(data.train_dataloader(), data)
        assert sorted(validation + training) == list(range(NUM_POOLED))
        assert len(validation) in (20, 21)
        assert int((data.validation.labels == 0).sum()) in (4, 5)
        assert numbers(data.test_dataloader(), data) == list(range(NUM_POOLED, 143))
        assert f"own, fold {fold} of 0-4: {len(training)} training and {len(validation)} validation" in data.summary()
        assert data.description()["fold"] == f"{fold} of 5"
        seen += validation
    assert sorted(seen) == list(range(NUM_POOLED))


def test_a_fold_is_the_same_for_every_seed_and_smaller_sizes_lie_in_it(tmp_path: Path) -> None:
    path = str(npz(tmp_path, own_validation=False))
    whole, small = (
        Npz(path=path, batch_size=4, fold=1, seed=seed, **sizes)
        for seed, sizes in ((0, {}), (1, {"train_size": 40, "val_size": 6}))
    )
    for data in (whole, small):
        data.setup()
    for split, size in (("training", 40), ("validation", 6)):
        assert torch.equal(getattr(small, split).inputs, getattr(whole, split).inputs[:size])
    assert torch.bincount(small.training.labels).tolist() == [8, 32]


def test_every_prefix_of_what_is_trained_on_keeps_the_proportions_within_one_sample() -> None:
    labels = torch.arange(1000) % 10
    for number in range(7):
        _, others = TensorSamples(labels[:, None], labels).fold(number, 7)
        in_order = torch.nn.functional.one_hot(others.labels).double()
        shares = torch.arange(1, len(others) + 1)[:, None] * in_order.mean(0)
        assert (in_order.cumsum(0) - shares).abs().max() <= 1


def test_a_bad_sample_is_named_although_it_is_read_late(tmp_path: Path) -> None:
    arrays = dict(np.load(npz(tmp_path, own_validation=True)))
    arrays["x_val"][3, 2, 2] = np.nan
    np.savez(tmp_path / "own.npz", **arrays)
    data = Npz(path=str(tmp_path / "own.npz"), batch_size=1, in_memory=False, num_workers=0, fold=0, num_folds=2)
    data.setup()
    with pytest.raises(UserError, match=r"x_val in .*own.npz has NaN or infinity in sample 3"):
        list(data.train_dataloader()) + list(data.val_dataloader())


def test_samples_of_one_split_in_memory_and_of_another_elsewhere(tmp_path: Path) -> None:
    class Mixed(Npz):
        def read(self) -> Splits:
            splits = super().read()
            assert not isinstance(splits.validation, TensorSamples)
            return replace(splits, validation=splits.validation.load(0, "validation"))

    data = Mixed(path=str(npz(tmp_path, own_validation=True)), batch_size=1, in_memory=False, num_workers=0, fold=2)
    data.setup()
    both = numbers(data.val_dataloader(), data) + numbers(data.train_dataloader(), data)
    assert sorted(both) == list(range(NUM_POOLED))


def test_pictures_that_are_left_out_are_left_out_of_a_fold_too(tmp_path: Path) -> None:
    from PIL import Image

    for i in range(60):
        path = tmp_path / "digits" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), i).save(path)
    whole = (tmp_path / "digits/a/30.png").read_bytes()
    (tmp_path / "digits/a/30.png").write_bytes(whole[:50])  # the header is whole, the pixels are not
    lengths = []
    for fold in range(3):
        data = ImageFolder(
            str(tmp_path / "digits"), batch_size=2, unreadable="skip", fold=fold, num_folds=3, num_workers=0
        )
        data.setup()
        lengths.append((len(data.training), len(data.validation)))
    assert sorted(lengths) == [(35, 18), (35, 18), (36, 17)]


def test_a_data_set_with_folds_of_its_own_is_left_alone(tmp_path: Path) -> None:
    class Own(Npz):
        has_own_folds = True

    path = str(npz(tmp_path, own_validation=True))
    own, plain = Own(path=path, batch_size=4, fold=3), Npz(path=path, batch_size=4)
    for data in (own, plain):
        data.setup()
    assert torch.equal(own.validation.inputs, plain.validation.inputs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fold": 10}, "fold must be from 0 to 9, as num_folds is 10, got 10"),
        ({"fold": -1, "num_folds": 3}, "fold must be from 0 to 2, as num_folds is 3, got -1"),
        ({"num_folds": 1}, "num_folds must be at least 2, got 1"),
        ({"fold": 0, "num_folds": 104}, "num_folds must be at most 103, the number of samples, got 104"),
    ],
)
def test_folds_that_there_are_not(settings: dict[str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        Npz(path=str(npz(tmp_path, own_validation=False)), batch_size=4, **settings).setup()


def test_splits_of_different_types_are_not_joined() -> None:
    images, signals = (
        TensorSamples(torch.zeros(3, 1, 4, dtype=dtype), torch.arange(3)) for dtype in (torch.uint8, torch.float32)
    )
    with pytest.raises(UserError, match="samples must be of one type"):
        joined(images, signals)
