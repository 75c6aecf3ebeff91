"""OrganMNIST3D, tested on small files of its format."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from offline import CLOSED_PORT, isolate, serving

from cnnlab.data.organmnist3d import OrganMNIST3D
from cnnlab.errors import UserError

SIZES = {"train": 44, "val": 22, "test": 33}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(OrganMNIST3D, "url", CLOSED_PORT)
    return isolate(monkeypatch, tmp_path)


def content(**changes: Any) -> bytes:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for split, size in SIZES.items():
        arrays[f"{split}_images"] = rng.integers(0, 256, (size, 28, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(size) % 11).astype(np.uint8)[:, None]
    file = io.BytesIO()
    np.savez_compressed(file, **{name: value for name, value in (arrays | changes).items() if value is not None})
    return file.getvalue()


def known(monkeypatch: pytest.MonkeyPatch, stored: bytes) -> None:
    monkeypatch.setattr(OrganMNIST3D, "known_md5", hashlib.md5(stored).hexdigest())


def save(folder: Path, stored: bytes) -> None:
    (folder / "organmnist3d").mkdir(parents=True)
    (folder / "organmnist3d/organmnist3d.npz").write_bytes(stored)


def read(root: Path) -> OrganMNIST3D:
    data = OrganMNIST3D(root=str(root), batch_size=4)
    data.prepare_data()
    data.setup()
    return data


def test_official_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = content()
    known(monkeypatch, stored)
    save(tmp_path, stored)
    data = read(tmp_path)
    assert (len(data.training), len(data.validation)) == (44, 22)
    test = data.test_dataloader().data
    arrays = np.load(io.BytesIO(stored))
    assert torch.equal(test.inputs[:, 0], torch.from_numpy(arrays["test_images"]))
    assert test.labels.tolist() == arrays["test_labels"][:, 0].tolist()
    assert (data.dataset, data.input_shape, data.num_classes) == ("organmnist3d", (1, 28, 28, 28), 11)
    assert (data.class_names[0], data.class_names[10], data.description()["kind"]) == ("liver", "pancreas", "volume")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_labels": None}, r"missing: val_labels; it holds train_images, .*; delete the file"),
        (
            {"train_images": np.zeros((44, 64, 64, 64), np.uint8)},
            r"train_images in .* must hold samples of 28x28x28, got 64x64x64",
        ),
        ({"test_labels": np.zeros((3, 1))}, r"test_labels in .* must hold 33 labels, one per sample of test_images"),
        ({"val_images": np.zeros((22, 28, 28, 28))}, r"the images in .* must be uint8"),
        ({}, r"has been altered: expected md5 a0c5a1ff.*, got "),
    ],
)
def test_other_files_are_told_in_one_line(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    save(tmp_path, content(**changes))
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_it_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = content()
    known(monkeypatch, stored)
    with serving({"organmnist3d.npz": stored}) as (address, requests):
        monkeypatch.setattr(OrganMNIST3D, "url", f"{address}organmnist3d.npz")
        assert len(read(tmp_path).training) == 44
        first = len(requests)
        assert len(read(tmp_path).training) == 44
        assert len(requests) == first


@pytest.mark.parametrize("fault", ["", "cut"])
def test_what_cannot_be_downloaded_leaves_nothing(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({"organmnist3d.npz": content()}, fault) as (address, _):
        monkeypatch.setattr(OrganMNIST3D, "url", f"{address}organmnist3d.npz")
        with pytest.raises(
            UserError, match=r"organmnist3d is neither under .* nor can it be downloaded \(.*data.root="
        ):
            read(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nor can it be downloaded .* put MedMNIST's file there as organmnist3d/"):
        read(tmp_path)
