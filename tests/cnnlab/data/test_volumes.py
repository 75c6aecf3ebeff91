"""Digits as solid objects: the same bits for the same seed, turned as said, split as MNIST is."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from offline import idx_set, isolate, write

from cnnlab.data.mnist import MNIST
from cnnlab.data.volumes import Volumes, extrude
from cnnlab.errors import UserError


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return isolate(monkeypatch, tmp_path)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small files in MNIST's format."""
    monkeypatch.setattr(MNIST, "known_md5", {})
    monkeypatch.setattr(MNIST, "num_training", 6_000)
    monkeypatch.setattr(MNIST, "num_test", 250)
    write(tmp_path / "MNIST/raw", idx_set(6_000, 250))
    return str(tmp_path)


def volumes(root: str, **settings: Any) -> Volumes:
    small = {"size": 8, "train_size": 150, "val_size": 130, "seed": 1}
    data = Volumes(root=root, **{**small, **settings})
    data.prepare_data()
    data.setup()
    return data


def test_the_same_seed_gives_the_same_bits_and_a_subset_is_the_beginning_of_all(root: str) -> None:
    first, again, smaller = volumes(root), volumes(root, seed=7), volumes(root, train_size=33)
    assert torch.equal(first.training.inputs, again.training.inputs)
    assert torch.equal(first.training.inputs[:33], smaller.training.inputs)
    assert torch.equal(first.validation.inputs, again.validation.inputs)
    other = volumes(root, turn_seed=5)
    assert torch.equal(first.training.labels, other.training.labels)
    assert not torch.equal(first.training.inputs, other.training.inputs)
    assert first.checksums != other.checksums


def test_splits_are_those_of_mnist(root: str) -> None:
    data, images = volumes(root), MNIST(root=root, train_size=150, val_size=130)
    images.prepare_data()
    images.setup()
    assert torch.equal(data.training.labels, images.training.labels)
    assert torch.equal(data.validation.labels, images.validation.labels)
    test = next(iter(data.test_dataloader()))
    assert test[0].shape == (250, 1, 8, 8, 8)
    assert torch.equal(test[1], next(iter(images.test_dataloader()))[1])
    assert (data.dataset, data.input_shape, data.training.inputs.dtype) == ("volumes-8", (1, 8, 8, 8), torch.uint8)
    description = data.description()
    assert (description["kind"], description["preprocessing"]) == ("volume", "plain")


def test_folds_are_those_of_the_images_whatever_part_of_them_is_used(root: str) -> None:
    chosen: dict[str, Any] = {"fold": 2, "num_folds": 20}
    data, images = volumes(root, **chosen), MNIST(root=root, train_size=150, val_size=130, **chosen)
    images.prepare_data()
    images.setup()
    assert torch.equal(data.training.labels, images.training.labels)
    assert torch.equal(data.validation.labels, images.validation.labels)
    more = volumes(root, train_size=5_000, val_size=None, **chosen)
    assert (len(more.training), len(more.validation)) == (5_000, 300)
    assert torch.equal(more.validation.inputs[:130], data.validation.inputs)
    assert len(more.test_dataloader().data) == 250


def test_without_files_the_embedded_digits_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    data = volumes("nowhere")
    assert data.dataset == "volumes-5k-8"
    assert data.training.inputs.float().mean() > 3


def test_unturned_the_middle_slices_are_the_image_and_the_outer_ones_empty() -> None:
    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    image[0, 0, 4:24, 12:16] = 255  # an upright bar
    (volume,) = extrude(image, torch.zeros(1, 3), size=16, thickness=0.5)[0].float()
    assert volume[:4].max() == volume[12:].max() == 0
    inside = volume[4:12]
    assert torch.equal(inside, inside[:1].expand_as(inside))
    ink = inside[0].nonzero()
    height, width = (ink[:, dim].max() - ink[:, dim].min() + 1 for dim in (0, 1))
    assert (int(height), int(width)) == (14, 4)


@pytest.mark.parametrize(("turn", "lies_along"), [((90, 0, 0), "width"), ((0, 90, 0), "height"), ((0, 0, 90), "depth")])
def test_a_quarter_turn_in_each_plane_lays_the_bar_along_another_side(
    turn: tuple[int, int, int], lies_along: str
) -> None:
    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    image[0, 0, 4:24, 13:15] = 255
    angles = torch.tensor([turn]) * math.pi / 180
    places = extrude(image, angles, size=16, thickness=0.2)[0, 0].nonzero().float()
    spread = dict(zip(("depth", "height", "width"), places.std(dim=0).tolist(), strict=True))
    assert max(spread, key=lambda side: spread[side]) == lies_along


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 3}, "size must be at least 4 voxels, got 3"),
        ({"thickness": 0.0}, "thickness must be greater than 0 and at most 1, got 0.0"),
        ({"degrees": 200.0}, "degrees must be from 0 to 180, got 200.0"),
    ],
)
def test_settings_that_make_no_volume(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        Volumes(**settings)
