"""One NumPy file is a data set: any channels, any number of spatial dims, classes or values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cnnlab.data.npz import Npz
from cnnlab.errors import UserError
from conftest import Finished


def arrays(shape: tuple[int, ...] = (12, 12), num_classes: int = 3, **replaced: Any) -> dict[str, Any]:
    """90 training and 30 test samples; each class brightens its own part of the last dim."""
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for split, size in {"train": 90, "test": 30}.items():
        labels = np.arange(size) % num_classes
        samples = rng.integers(0, 90, (size, *shape), dtype=np.uint8)
        for sample, label in zip(samples, labels, strict=True):
            sample[..., label::num_classes] += 120
        found |= {f"x_{split}": samples, f"y_{split}": labels}
    found |= replaced
    return {name: array for name, array in found.items() if array is not None}


def written(path: Path, **replaced: Any) -> Path:
    np.savez(path, **arrays(**replaced))
    return path


def ready(path: Path, **settings: Any) -> Npz:
    data = Npz(str(path), batch_size=16, **settings)
    data.setup()
    return data


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ((40,), (1, 40)),
        ((2, 40), (2, 40)),
        ((40, 2), (2, 40)),
        ((12, 14), (1, 12, 14)),
        ((3, 12, 14), (3, 12, 14)),
        ((12, 14, 3), (3, 12, 14)),
        ((8, 9, 10), (1, 8, 9, 10)),
        ((1, 8, 9, 10), (1, 8, 9, 10)),
    ],
)
def test_channels_are_found(stored: tuple[int, ...], expected: tuple[int, ...], tmp_path: Path) -> None:
    path = written(tmp_path / "a.npz", shape=stored)
    for in_memory in (True, False):
        data = ready(path, in_memory=in_memory, num_workers=0)
        assert data.input_shape == expected
        inputs, _ = next(iter(data.train_dataloader()))
        assert inputs.shape == (16, *expected)
        assert abs(inputs.mean()) < 0.2


def test_channels_by_option(tmp_path: Path) -> None:
    path = written(tmp_path / "a.npz", shape=(3, 12, 3))
    with pytest.raises(UserError, match="cannot tell the channels of 3x12x3 samples; give data.channels="):
        ready(path)
    assert ready(path, channels="last").input_shape == (3, 3, 12)
    assert ready(path, channels="none").input_shape == (1, 3, 12, 3)


def test_inputs_and_labels_belong_together(tmp_path: Path) -> None:
    numbers = np.arange(90, dtype=np.float32)[:, None].repeat(5, 1)
    path = written(tmp_path / "a.npz", x_train=numbers, x_test=numbers[:30])
    data = ready(path, in_memory=False, num_workers=2)
    for inputs, labels in data.train_dataloader():
        original = (inputs[:, 0, 0] * data.std[0] + data.mean[0]).round().long()
        assert torch.equal(original % 3, labels)


def test_in_memory_or_not_is_the_same_data(tmp_path: Path) -> None:
    path = written(tmp_path / "a.npz", shape=(12, 14, 3))
    held, read = ready(path), ready(path, in_memory=False, num_workers=2)
    for (a, c), (b, d) in zip(held.train_dataloader(), read.train_dataloader(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(c, d)
    np.savez_compressed(path, **arrays())
    assert ready(path).input_shape == (1, 12, 12)
    with pytest.raises(UserError, match="compressed, so it can only be read as a whole; save it with numpy.savez"):
        ready(path, in_memory=False)


LONG = np.longdouble
READ_ALIKE = {
    "big-endian": lambda x: x.astype(">f8"),
    "big-endian integers": lambda x: x.astype(">i2"),
    "longdouble": lambda x: x.astype(LONG),
    "half": lambda x: x.astype(np.float16),
    "unsigned": lambda x: x.astype(np.uint64),
    "Boolean": lambda x: x > 100,
}


@pytest.mark.parametrize("kind", READ_ALIKE)
def test_any_numbers_are_read_alike_in_memory_or_not(kind: str, tmp_path: Path) -> None:
    plain = arrays()
    changed = {name: READ_ALIKE[kind](plain[name]) for name in ("x_train", "x_test")}
    path = written(tmp_path / "a.npz", **changed)
    held, read = ready(path), ready(path, in_memory=False, num_workers=0)
    assert (held.scale, held.mean, held.std) == (1.0, pytest.approx(read.mean), pytest.approx(read.std))
    for (a, c), (b, d) in zip(held.test_dataloader(), read.test_dataloader(), strict=True):
        torch.testing.assert_close(a, b)
        assert torch.equal(c, d)


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e300])
@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_no_float32_is_refused_in_memory_or_not(value: float, split: str, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).random((90, 12, 12))
    changed = {"x_train": samples, "x_test": samples[:30] + 1}
    changed[f"x_{split}"][17, 3, 4] = value
    path = written(tmp_path / "a.npz", **changed)
    with pytest.raises(UserError, match=f"x_{split} in .*a.npz has 1 samples with NaN or infinity"):
        ready(path)
    with pytest.raises(UserError, match=f"x_{split} in .*a.npz has NaN or infinity in sample 17"):
        list(ready(path, in_memory=False, num_workers=0).test_dataloader())


def test_values_that_float32_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="y_train holds NaN or infinity"):
        ready(written(tmp_path / "a.npz", y_train=np.full(90, 1e300), y_test=np.ones(30)), targets="values")


def test_text_as_bytes(tmp_path: Path) -> None:
    labels = np.array([b"caf\xc3\xa9", b"caf\xe9", b"tea"])
    changed = {f"y_{split}": labels[arrays()[f"y_{split}"]] for split in ("train", "test")}
    data = ready(written(tmp_path / "a.npz", **changed))
    assert data.class_names == ("caf\\xe9", "café", "tea")
    assert next(iter(data.test_dataloader()))[1].tolist() == [[1, 0, 2][i % 3] for i in range(30)]
    named = ready(written(tmp_path / "a.npz", class_names=np.array([b"z\xc3\xa9ro", b"one", b"two"])))
    assert named.class_names == ("zéro", "one", "two")


def test_flattened_images_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = {784: "x.reshape(-1, 28, 28)", 64: "x.reshape(-1, 8, 8)", 3072: "x.reshape(-1, 32, 32, 3)"}
    for length in (784, 64, 3072, 785, 40, 25):
        caplog.clear()
        path = written(tmp_path / "a.npz", shape=(length,))
        assert ready(path).input_shape == (1, length)
        assert [told[length] in record.getMessage() for record in caplog.records] == [True] * (length in told)
    caplog.clear()
    ready(written(tmp_path / "a.npz", shape=(784,)), channels="none")
    assert not caplog.records


def test_splits_and_names(tmp_path: Path) -> None:
    path = written(tmp_path / "digits.npz", class_names=np.array(["zero", "one", "two"]))
    data = ready(path)
    assert (data.dataset, data.class_names) == ("digits", ("zero", "one", "two"))
    assert (len(data.training), len(data.validation)) == (81, 9)
    assert data.validation.labels.bincount().tolist() == [3, 3, 3]
    own = written(tmp_path / "own.npz", x_val=np.zeros((6, 12, 12), np.uint8), y_val=np.arange(6) % 3)
    assert (len(ready(own).training), len(ready(own).validation)) == (90, 6)
    assert ready(path).checksums != ready(own).checksums


@pytest.mark.parametrize("kind", ["column", "float", "uint8", "words"])
def test_labels_as_people_store_them(kind: str, tmp_path: Path) -> None:
    plain = arrays()
    words = np.array(["cat", "dog", "ant"])
    convert: dict[str, Callable[[Any], Any]] = {
        "column": lambda y: y[:, None],
        "float": lambda y: y.astype(np.float64),
        "uint8": lambda y: y.astype(np.uint8),
        "words": lambda y: words[y],
    }
    changed = {name: convert[kind](plain[name]) for name in ("y_train", "y_test")}
    data = ready(written(tmp_path / "a.npz", **changed))
    labels = next(iter(data.test_dataloader()))[1]
    if kind == "words":
        assert data.class_names == ("ant", "cat", "dog")
        expected = torch.tensor([1, 2, 0])[torch.arange(30) % 3]
    else:
        expected = torch.arange(30) % 3
    assert torch.equal(labels, expected)
    assert labels.dtype == torch.int64


def test_values_for_regression(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((90, 2))
    path = written(tmp_path / "a.npz", y_train=values, y_test=values[:30])
    data = ready(path, targets="values")
    targets = next(iter(data.train_dataloader()))[1]
    assert (targets.shape, targets.dtype, data.num_classes) == ((16, 2), torch.float32, 2)
    assert "values: value_0, value_1" in data.summary()
    with pytest.raises(UserError, match=r"y_train must be \(N,\), got \(90, 2\)"):
        ready(path)


@pytest.mark.parametrize(
    "more", [[], pytest.param(["data.in_memory=false", "data.num_workers=1"], marks=pytest.mark.slow)]
)
def test_the_command_trains(more: list[str], train: Callable[..., Finished], tmp_path: Path) -> None:
    path = written(tmp_path / "three, (1) é.npz", shape=(20, 24, 3))
    run = train("data=npz", f"data.path={path}", "trainer=cpu", "trainer.max_epochs=4", "data.batch_size=8", *more)
    assert run.status == 0, run.err
    assert run.metrics["dataset"] == "three, (1) é"
    assert run.metrics["test/accuracy"] > 0.9


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        raise AssertionError("was unpickled")


RNG = np.random.default_rng(0)
OBJECTS = np.array([[1, 2], [3]] * 45, dtype=object)
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"x_test": None}, "missing: x_test; it holds x_train, y_train, y_test"),
    "misspelt": ({"x_test": None, "X_test": np.zeros(3)}, "missing: x_test.*did you mean X_test"),
    "half a split": ({"x_val": np.zeros((6, 12, 12))}, "missing: y_val"),
    "objects": ({"x_train": OBJECTS}, "x_train in .* holds Python objects, which only unpickling"),
    "objects as labels": ({"y_train": OBJECTS}, "y_train in .* holds Python objects"),
    "words as inputs": ({"x_train": np.array(["a"] * 90)}, "must hold numbers, got <U1"),
    "one number": ({"x_train": np.zeros(90), "x_test": np.zeros(30)}, "at least one dim per sample"),
    "complex": ({"x_train": np.zeros((90, 12, 12), complex)}, "must hold numbers, got complex128"),
    "label too large": ({"y_test": np.full(30, 3)}, "y_test must hold labels from 0 to 2, got 3"),
    "negative label": ({"y_train": np.arange(90) % 3 - 1}, "y_train must hold labels from 0 up, got -1"),
    "label from 1": ({"y_train": np.arange(90) % 3 + 1}, r"every label from 0 to 3 .*got none of 0"),
    "fraction": ({"y_train": np.linspace(0, 2, 90)}, "whole numbers from 0; for regression give data.targets=values"),
    "one hot": ({"y_train": np.eye(3)[np.arange(90) % 3]}, r"must be \(N,\), got \(90, 3\); for one-hot .*argmax"),
    "one class": ({"y_train": np.zeros(90, int), "y_test": np.zeros(30, int)}, "at least two classes, got only '0'"),
    "unknown word": ({"y_train": np.array(["a", "b"] * 45), "y_test": np.array(["c"] * 30)}, "y_test .* does not: c"),
    "other length": ({"y_train": np.arange(80) % 3}, r"equally long, got \(90, 12, 12\) and \(80,\)"),
    "other shape": ({"x_test": np.zeros((30, 12, 13))}, r"x_test must have samples like x_train, \(12, 12\), got"),
    "empty": ({"x_test": np.zeros((0, 12, 12)), "y_test": np.zeros(0)}, "x_test is empty"),
    "scalar": ({"y_train": np.array(3)}, "equally long"),
    "not a number": (
        {"x_train": np.full((90, 12, 12), np.nan), "x_test": np.zeros((30, 12, 12))},
        "x_train .* has 90 samples with NaN or infinity",
    ),
    "float in a test of images": ({"x_test": np.zeros((30, 12, 12))}, "x_test .* type of x_train, uint8, got float64"),
    "float beside integers": (
        {"x_train": np.zeros((90, 12, 12), np.uint16), "x_test": np.zeros((30, 12, 12))},
        "x_test .* type of x_train, uint16, got float64",
    ),
    "infinite as float32": ({"x_train": np.full((90, 4), 1e300), "x_test": np.ones((30, 4))}, "90 samples with NaN or"),
    "date as a label": ({"y_train": np.array([0, 20231231] * 45)}, "from 0 to 20231231 .*got none of 1, 2, 3, 4, 5$"),
    "huge label": ({"y_train": np.array([0, 2**40] * 45)}, "from 0 to 1099511627776 .*got none of 1"),
    "huge float label": ({"y_train": np.array([0, 1e300] * 45)}, "labels from 0 up, got 1000"),
    "huge unsigned label": ({"y_train": np.array([0, 2**63] * 45, np.uint64)}, "from 0 up, got 9223372036854775808"),
    "names as numbers": ({"class_names": np.arange(3)}, "class_names in .* must hold text, got int64"),
    "one text as names": ({"class_names": np.array("abc")}, r"class_names must be \(N,\), got \(\)"),
    "a name twice": ({"class_names": np.array(["a", "b", "a"])}, "class names must differ, got a more than once"),
    "too many names": ({"class_names": np.array(list("abcd"))}, "class_names must hold as many names .* 3, got 4"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_get_one_line(what: str, tmp_path: Path) -> None:
    replaced, message = BAD[what]
    path = written(tmp_path / "a.npz", **replaced)
    with pytest.raises(UserError, match=message) as caught:
        ready(path)
    assert "\n" not in str(caught.value)


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    harmful = np.empty(90, dtype=object)
    harmful[:] = Harmful
    path = written(tmp_path / "a.npz", y_train=harmful)
    with pytest.raises(UserError, match="holds Python objects"):
        ready(path)


def test_what_is_no_npz_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file .*nowhere.npz; data.path="):
        ready(tmp_path / "nowhere.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(UserError, match="text.npz is not an npz file"):
        ready(tmp_path / "text.npz")
    path = written(tmp_path / "a.npz")
    content = bytearray(path.read_bytes())
    content[2_000:2_040] = b"\x55" * 40
    path.write_bytes(content)
    with pytest.raises(UserError, match="x_train in .* is damaged"):
        ready(path)


def test_the_command_tells_what_is_missing(train: Callable[..., Finished]) -> None:
    for arguments, line in {
        ("data=npz",): "error: data.path is missing: Npz requires it; give data.path=…\n",
        ("data=npz", "data.path=x.npz", "data.chanels=first"): "error: unknown key data.chanels: Npz has no such "
        "argument; did you mean channels?\n",
    }.items():
        run = train(*arguments)
        assert (run.status, run.err) == (1, line)


def test_larger_than_memory_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.npz")
    monkeypatch.setattr("cnnlab.data.files.memory.available_bytes", lambda: 10_000)
    with pytest.raises(UserError, match="x_train would take 0.0 GiB, .*; data.in_memory=false reads them batch by"):
        ready(path)
