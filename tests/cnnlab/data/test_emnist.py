"""EMNIST: upright images, labels from 0, names of the classes, one archive for all its splits."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from offline import gzipped, idx_set, isolate, serving, write
from torchvision import datasets

from cnnlab.data import emnist, idx_datamodule
from cnnlab.data.emnist import EMNIST
from cnnlab.errors import UserError

SPLITS = {"digits": (10, 0), "letters": (26, 1), "balanced": (47, 0)}  # number of classes, first label in the files
NUM_TRAINING, NUM_TEST = 141, 94


def arrays_of(split: str) -> dict[str, np.ndarray]:
    num_classes, first_label = SPLITS[split]
    prefixes = (f"emnist-{split}-train", f"emnist-{split}-test")
    return idx_set(NUM_TRAINING, NUM_TEST, prefixes, num_classes, first_label)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for split in SPLITS:
        monkeypatch.setitem(emnist._NUM_IMAGES, split, (NUM_TRAINING, NUM_TEST))
    monkeypatch.setattr(idx_datamodule, "NUM_VALIDATION", 47)
    return isolate(monkeypatch, tmp_path)


def read(split: Any, folder: Path) -> EMNIST:
    write(folder / "EMNIST/raw", arrays_of(split))
    data = EMNIST(split=split, root=str(folder), batch_size=8)
    data.setup()
    return data


def test_official_numbers_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    sizes = {split: (EMNIST(split=split).num_training, EMNIST(split=split).num_test) for split in SPLITS}
    assert sizes == {"digits": (240_000, 40_000), "letters": (124_800, 20_800), "balanced": (112_800, 18_800)}


@pytest.mark.parametrize("split", SPLITS)
def test_images_are_transposed_and_labels_count_from_0(split: str, tmp_path: Path) -> None:
    data = read(split, tmp_path)
    test = data.test_dataloader().data
    arrays = arrays_of(split)
    stored = arrays[f"emnist-{split}-test-images-idx3-ubyte"]
    assert np.array_equal(test.inputs[:, 0].numpy(), stored.transpose(0, 2, 1))
    num_classes, first_label = SPLITS[split]
    assert test.labels.tolist() == (arrays[f"emnist-{split}-test-labels-idx1-ubyte"].astype(int) - first_label).tolist()
    assert set(test.labels.tolist()) == set(range(num_classes))
    upright = {image.tobytes() for image in arrays[f"emnist-{split}-train-images-idx3-ubyte"].transpose(0, 2, 1)}
    assert {image.numpy().tobytes() for image in data.training.inputs[:, 0]} < upright
    assert (len(data.training), len(data.validation)) == (NUM_TRAINING - 47, 47)


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("digits", "0123456789"),
        ("letters", "abcdefghijklmnopqrstuvwxyz"),
        ("balanced", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"),
    ],
)
def test_names_of_the_classes(split: str, names: str, tmp_path: Path) -> None:
    data = read(split, tmp_path)
    assert "".join(data.class_names) == names
    assert (data.num_classes, data.dataset, data.preprocessing) == (len(names), f"emnist-{split}", "digits")


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The archive that holds every split, as small as the sets are here."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for split in SPLITS:
            for name, data in gzipped(arrays_of(split)).items():
                file.writestr(f"gzip/{name}", data)
    monkeypatch.setattr(datasets.EMNIST, "md5", hashlib.md5(content.getvalue()).hexdigest())
    return {"gzip.zip": content.getvalue()}


def test_one_download_serves_all_splits(
    archive: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    with serving(archive) as (address, requests):
        monkeypatch.setattr(datasets.EMNIST, "url", f"{address}gzip.zip")
        for split in SPLITS:
            data = EMNIST(split=split, batch_size=8)
            data.prepare_data()
            data.setup()
            if split == "digits":
                assert set(requests) == {"/gzip.zip"}
                requests.clear()
        assert not requests
    names = {name for split in SPLITS for name in arrays_of(split)}
    assert {path.name for path in cache.rglob("*") if path.is_file()} == names


def test_a_broken_archive_leaves_no_data(
    archive: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    with serving(archive, fault="cut") as (address, _):
        monkeypatch.setattr(datasets.EMNIST, "url", f"{address}gzip.zip")
        with pytest.raises(UserError, match="emnist-letters is neither under .* nor can it be downloaded"):
            EMNIST(split="letters", batch_size=8).setup()
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    arrays = arrays_of("letters")
    write(tmp_path / "EMNIST/raw", arrays)
    path = tmp_path / "EMNIST/raw/emnist-letters-test-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=f"{path.name} is damaged: expected 102 bytes, got 101"):
        EMNIST(split="letters", root=str(tmp_path), batch_size=8).setup()
