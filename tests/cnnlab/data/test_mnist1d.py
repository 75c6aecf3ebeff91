"""MNIST-1D from the frozen file, or made by the package of that name."""

import errno
import hashlib
import os
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from offline import isolate

from cnnlab.data.files.npz_file import NpzFile
from cnnlab.data.mnist1d import MNIST1D
from cnnlab.errors import UserError

DATA_DIR = Path(os.environ.get("CNNLAB_DATA_DIR") or "nowhere").absolute()
needs_mnist1d = pytest.mark.skipif(
    not (DATA_DIR / "mnist1d/mnist1d.npz").is_file(), reason="CNNLAB_DATA_DIR holds no mnist1d/mnist1d.npz"
)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return isolate(monkeypatch, tmp_path)


@pytest.fixture(autouse=True)
def without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mnist1d.data", None)


def arrays() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x, x_test = (rng.normal(size=(size, 40)).astype(np.float32) for size in (4_000, 1_000))
    return {"x": x, "y": np.arange(4_000) % 10, "x_test": x_test, "y_test": np.arange(1_000) % 10}


def save(folder: Path, monkeypatch: pytest.MonkeyPatch, known: bool = True, **changes: Any) -> Path:
    path = folder / "mnist1d/mnist1d.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, **{name: value for name, value in {**arrays(), **changes}.items() if value is not None})
    if known:
        monkeypatch.setattr(MNIST1D, "known_sha256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def read(**settings: Any) -> MNIST1D:
    data = MNIST1D(**settings)
    data.prepare_data()
    data.setup()
    return data


def test_official_test_samples_and_a_stratified_validation_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, monkeypatch)
    data = read(root=str(tmp_path))
    assert torch.bincount(data.training.labels).tolist() == [360] * 10
    assert torch.bincount(data.validation.labels).tolist() == [40] * 10
    test = data.test_dataloader().data
    assert torch.equal(test.inputs[:, 0], torch.from_numpy(arrays()["x_test"]))
    assert torch.equal(test.labels, torch.arange(1_000) % 10)
    assert (data.dataset, data.input_shape, data.description()["kind"]) == ("mnist1d", (1, 40), "series")
    assert data.training.inputs.dtype == torch.float32


@needs_mnist1d
def test_the_frozen_file() -> None:
    data = read(root=str(DATA_DIR))
    assert data.checksums == {"mnist1d.npz": MNIST1D.known_sha256}
    assert (len(data.training), len(data.validation)) == (3_600, 400)
    assert data.std == pytest.approx([0.998], abs=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, r"needs the arrays x, y, x_test, y_test; missing: y_test; it holds x, y, x_test; delete"),
        ({"x": np.zeros((5, 28, 28))}, r"x in .* must hold samples of 40, got 28x28; delete"),
        ({"y": np.zeros(7)}, r"y in .* must hold 4000 labels, one per sample of x; delete"),
    ],
)
def test_other_arrays_are_told_in_one_line(
    changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, monkeypatch, **changes)
    with pytest.raises(UserError, match=message):
        read(root=str(tmp_path))


def test_other_numbers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, monkeypatch, known=False)
    with pytest.raises(UserError, match=r"has been altered: expected sha256 5e36d42c.*, got .*; delete the file"):
        read(root=str(tmp_path))


def test_neither_file_nor_package(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mnist1d is not under .*pip install mnist1d$"):
        read(root=str(tmp_path))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """One that seeds all generators and makes the numbers of these tests."""

    def make_dataset() -> dict[str, Any]:
        random.seed(42)
        np.random.seed(42)
        torch.manual_seed(42)
        return {**{name: array.astype(float) for name, array in arrays().items()}, "t": np.arange(40)}

    package = ModuleType("mnist1d.data")
    package.make_dataset = make_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mnist1d", ModuleType("mnist1d"))
    monkeypatch.setitem(sys.modules, "mnist1d.data", package)
    made = save(tmp_path / "elsewhere", monkeypatch, known=False)
    monkeypatch.setattr(MNIST1D, "known_crc32", NpzFile(made).checksums())
    return package


def test_the_package_makes_the_file_and_leaves_random_numbers_alone(tmp_path: Path, package: ModuleType) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state()
    data = read(root=str(tmp_path))
    assert len(data.training) == 3_600
    assert [path.name for path in (tmp_path / "mnist1d").iterdir()] == ["mnist1d.npz"]
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.random.get_rng_state(), before[2])


def test_two_processes_may_make_the_file_at_once(
    tmp_path: Path, package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_one = np.savez_compressed

    def save_while_another_does(path: Path, **kwargs: Any) -> None:
        monkeypatch.setattr(np, "savez_compressed", save_one)
        MNIST1D(root=str(tmp_path)).prepare_data()
        save_one(path, **kwargs)

    monkeypatch.setattr(np, "savez_compressed", save_while_another_does)
    assert len(read(root=str(tmp_path)).training) == 3_600
    assert [path.name for path in (tmp_path / "mnist1d").iterdir()] == ["mnist1d.npz"]


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_half(path: Path, **kwargs: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez_compressed", save_half)
    with pytest.raises(
        UserError, match=r"^mnist1d cannot be written to .*mnist1d.npz \(No space left on device\); name"
    ):
        read(root=str(tmp_path))
    assert not list((tmp_path / "mnist1d").iterdir())
