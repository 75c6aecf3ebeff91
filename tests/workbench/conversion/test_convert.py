"""scripts/convert.py makes data sets of the formats in which others publish theirs, and training starts from them."""

import gzip
import io
import os
import pickle
import re
import shlex
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from cnnlab.data.image_folder import ImageFolder
from cnnlab.data.npz import Npz
from cnnlab.errors import UserError
from cnnlab.workbench.conversion.convert import convert as convert_files
from cnnlab.workbench.conversion.to_arrays import Choices
from conftest import Finished, embedded_digits

N = 60


@pytest.fixture(scope="module")
def digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """60 digits, 0 to 2, in turn."""
    pixels, labels = embedded_digits()
    order = np.stack([np.flatnonzero(labels == label)[: N // 3] for label in range(3)], axis=1).ravel()
    return pixels[order], labels[order]


@pytest.fixture
def convert(command: Callable[..., Finished]) -> Callable[..., Finished]:
    """Run scripts/convert.py with words; what it must refuse is looked at by the caller."""
    return lambda *words: command("scripts/convert.py", *map(str, words))


def arrays(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def has_all(made: dict[str, Any], x: NDArray[Any], y: NDArray[Any]) -> bool:
    """Whether train and test together are all samples, each with its label."""
    together = {
        one.tobytes(): int(label)
        for s in ("train", "test")
        for one, label in zip(made[f"x_{s}"], made[f"y_{s}"], strict=True)
    }
    return together == {one.tobytes(): int(label) for one, label in zip(x, y, strict=True)}


def trained(train: Callable[..., Finished], out: str, *more: str) -> Finished:
    """Run the command that convert has printed, for an epoch."""
    line = out.splitlines()[-1].strip()
    assert line.startswith("python train.py data=")
    run = train(*shlex.split(line)[2:], "trainer.max_epochs=1", "logger=none", *more)
    assert run.status == 0, run.err
    return run


def predicted(command: Callable[..., Finished], out: str, folder: Path) -> int:
    """Run the command that convert has printed for samples without labels; return how many were answered."""
    (line,) = [line.strip() for line in out.splitlines() if "predict.py" in line]
    done = command(*shlex.split(line)[1:], "out=answers")
    assert done.status == 0, done.err
    return len((folder / "answers/predictions.csv").read_text().splitlines()) - 1


def csv(folder: Path, name: str, x: NDArray[Any], y: NDArray[Any] | None, header: bool = True) -> Path:
    table = pd.DataFrame(x.reshape(len(x), -1), columns=[f"pixel{i}" for i in range(x[0].size)])
    if y is not None:
        table.insert(0, "label", y)
    table.to_csv(folder / name, index=False, header=header)
    return folder / name


@pytest.mark.usefixtures("white_figures")
def test_a_table_of_labels_and_pixels(
    convert: Callable[..., Finished],
    train: Callable[..., Finished],
    command: Callable[..., Finished],
    digits: Any,
    tmp_path: Path,
) -> None:
    x, y = digits
    csv(tmp_path, "train.csv", x, y)
    csv(tmp_path, "test.csv", x[:7], None)
    done = convert("train.csv", "test.csv", "out.npz")
    assert (done.status, done.err) == (0, "")
    made = arrays(tmp_path / "out.npz")
    assert made["x_train"].shape == (54, 28, 28)
    assert made["x_train"].dtype == np.uint8
    assert np.bincount(made["y_test"]).tolist() == [2, 2, 2]
    assert has_all(made, x, y)
    assert "written out_unlabelled.zip: 7 samples without labels" in done.out
    with zipfile.ZipFile(tmp_path / "out_unlabelled.zip") as archive, archive.open(archive.namelist()[6]) as file:
        assert np.array_equal(np.array(Image.open(file)), x[6])
    assert trained(train, done.out).metrics["dataset"] == "out"
    assert predicted(command, done.out, tmp_path) == 7
    again = convert("train.csv", "out.npz")
    assert again.status == 1
    assert "error: out.npz is there already; name another file or folder, or remove it" in again.err
    (tmp_path / "out.npz").unlink()  # its neighbour is still there
    assert "error: out_unlabelled.zip is there already" in convert("train.csv", "test.csv", "out.npz").err
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.usefixtures("white_figures")
def test_signals_without_labels_can_be_predicted(
    convert: Callable[..., Finished],
    train: Callable[..., Finished],
    command: Callable[..., Finished],
    digits: Any,
    tmp_path: Path,
) -> None:
    x = np.random.default_rng(0).normal(size=(N, 40)).astype(np.float32)
    csv(tmp_path, "train.csv", x, digits[1])
    csv(tmp_path, "test.csv", x[:3], None)
    done = convert("train.csv", "test.csv", "signals.npz")
    assert "written signals_unlabelled.npz: 3 samples without labels" in done.out
    trained(train, done.out, "test=false", "model=linear")
    assert predicted(command, done.out, tmp_path) == 3


def test_tables_of_other_kinds(convert: Callable[..., Finished], digits: Any, tmp_path: Path) -> None:
    x, y = digits
    csv(tmp_path, "no_header.csv", x, y, header=False)
    lines = ["@relation d", *(f"@attribute p{i} real" for i in range(784)), "@attribute class {'0','1','2'}", "@data"]
    lines += [",".join(map(str, [*pixels.ravel(), label])) for pixels, label in zip(x, y, strict=True)]
    (tmp_path / "openml.arff").write_text("\n".join(lines))
    faces = pd.DataFrame({"emotion": y, "pixels": [" ".join(map(str, one.ravel())) for one in x]})
    faces["Usage"] = ["Training"] * 40 + ["PublicTest"] * 10 + ["PrivateTest"] * 10
    faces.to_csv(tmp_path / "fer.csv", index=False)
    for source in ("no_header.csv", "openml.arff", "fer.csv"):
        done = convert(source, f"{source}.npz")
        assert done.status == 0, done.err
        made = arrays(tmp_path / f"{source}.npz")
        assert made["x_train"].shape[1:] == (28, 28)
        if source == "fer.csv":
            assert [len(made[f"y_{split}"]) for split in ("train", "val", "test")] == [40, 10, 10]
        else:
            assert has_all(made, x, y)
    words = pd.DataFrame(
        {"Id": range(N), "width": np.arange(N) / 7, "height": 1.5, "kind": np.array(["b", "a", "c"])[y]}
    )
    words.to_csv(tmp_path / "iris.csv", index=False, sep=";")
    done = convert("iris.csv", "iris.npz")
    made = arrays(tmp_path / "iris.npz")
    assert (made["class_names"].tolist(), made["x_train"].shape) == (["a", "b", "c"], (54, 2))
    assert "model=linear" in done.out
    tags = pd.DataFrame({"red": y % 2, "round": (y < 2).astype(int)}).join(
        pd.DataFrame(x.reshape(N, -1)).add_prefix("p")
    )
    tags.to_csv(tmp_path / "tags.csv", index=False)
    done = convert("tags.csv", "tags.npz", "--labels", "red,round")
    made = arrays(tmp_path / "tags.npz")
    assert (made["y_train"].shape, made["class_names"].tolist()) == ((54, 2), ["red", "round"])
    assert "data.targets=multilabel" in done.out


def test_parquet(
    convert: Callable[..., Finished], digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the reader of Parquet, which is no dependency, the error names it; pictures are found in the cells."""
    (tmp_path / "train.parquet").write_bytes(b"PAR1")

    def lacking(path: Path) -> pd.DataFrame:
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", lacking)
    assert (
        "pandas reads Parquet files with pyarrow; install it: pip install pyarrow"
        in convert("train.parquet", "a.npz").err
    )
    files = []
    for number, pixels in enumerate(digits[0]):
        Image.fromarray(pixels).save(tmp_path / "one.png")
        files.append({"bytes": (tmp_path / "one.png").read_bytes(), "path": f"{number}.png"})
    monkeypatch.setattr(pd, "read_parquet", lambda path: pd.DataFrame({"image": files, "label": digits[1]}))
    done = convert("train.parquet", "a.npz")
    assert done.status == 0, done.err
    assert has_all(arrays(tmp_path / "a.npz"), *digits)


def test_matlab_and_numpy_files(convert: Callable[..., Finished], digits: Any, tmp_path: Path) -> None:
    x, y = digits
    color = np.repeat(x[:, 2:26, 2:26, None], 3, axis=3)
    svhn = np.pad(color, ((0, 0), (4, 4), (4, 4), (0, 0)))
    for name in ("train_32x32.mat", "test_32x32.mat"):
        savemat(tmp_path / name, {"X": np.moveaxis(svhn, 0, -1), "y": np.where(y == 0, 10, y)[:, None]})
    done = convert("train_32x32.mat", "test_32x32.mat", "svhn.npz")
    assert done.status == 0, done.err
    made = arrays(tmp_path / "svhn.npz")
    assert np.array_equal(made["x_train"], svhn)
    assert np.array_equal(made["y_test"], y)
    medmnist = {"train_images": x, "train_labels": y[:, None], "val_images": x[:9], "val_labels": y[:9, None]}
    np.savez(tmp_path / "pathmnist.npz", **medmnist, test_images=x[9:18], test_labels=y[9:18, None])
    assert convert("pathmnist.npz", "med.npz").status == 0
    assert {name: len(array) for name, array in arrays(tmp_path / "med.npz").items() if name[0] == "y"} == {
        "y_train": N, "y_val": 9, "y_test": 9,
    }  # fmt: skip
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.array(["zero", "one", "two"])[y])
    assert convert("x.npy", "y.npy", "words.npz").status == 0
    assert arrays(tmp_path / "words.npz")["class_names"].tolist() == ["one", "two", "zero"]


def test_idx_files_packed_or_not(convert: Callable[..., Finished], digits: Any, tmp_path: Path) -> None:
    x, y = digits
    qmnist = np.concatenate([y[:, None].astype(">i4"), np.full((N, 7), 9, ">i4")], axis=1)
    for name, code, values in (("train-images-idx3-ubyte", 8, x), ("train-labels-idx2-int", 12, qmnist)):
        header = struct.pack(f">HBB{values.ndim}i", 0, code, values.ndim, *values.shape)
        (tmp_path / f"qmnist-{name}.gz").write_bytes(gzip.compress(header + values.tobytes()))
    done = convert("qmnist-train-images-idx3-ubyte.gz", "qmnist-train-labels-idx2-int.gz", "q.npz")
    assert done.status == 0, done.err
    assert has_all(arrays(tmp_path / "q.npz"), x, y)


class Stranger:
    def __reduce__(self) -> Any:
        return os.mkdir, ("broken_into",)


def test_pickles_are_read_without_running_code(convert: Callable[..., Finished], digits: Any, tmp_path: Path) -> None:
    x, y = digits
    rows = np.repeat(np.pad(x, ((0, 0), (2, 2), (2, 2)))[:, None], 3, axis=1).reshape(N, -1)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in ("data_batch_1", "data_batch_2", "test_batch"):
        (folder / name).write_bytes(pickle.dumps({b"data": rows, b"labels": y.tolist(), b"filenames": []}, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["plane", "car", "bird"]}))
    done = convert("cifar-10-batches-py", "cifar.npz")
    assert done.status == 0, done.err
    made = arrays(tmp_path / "cifar.npz")
    assert made["x_train"].shape == (2 * N, 3, 32, 32)
    assert made["class_names"].tolist() == ["plane", "car", "bird"]
    assert "bird      40    20" in done.out
    (folder / "test_batch").write_bytes(pickle.dumps({"data": Stranger(), "labels": [0]}, protocol=2))
    refused = convert("cifar-10-batches-py", "evil.npz")
    assert "mkdir, which could run code, so it is not read" in refused.err
    assert not (tmp_path / "broken_into").exists()
    assert not (tmp_path / "evil.npz").exists()


def pictures(folder: Path, digits: Any) -> Path:
    folder.mkdir()
    for number, pixels in enumerate(digits[0]):
        Image.fromarray(pixels).resize((28 + number % 2, 28)).save(folder / f"img_{number}.png")
    return folder


def test_a_table_beside_pictures(
    convert: Callable[..., Finished], train: Callable[..., Finished], digits: Any, tmp_path: Path
) -> None:
    pictures(tmp_path / "images", digits)
    names = np.array(["zero", "a/b", "..two"])[digits[1]]
    pd.DataFrame({"id": [f"img_{i}" for i in range(50)], "breed": names[:50]}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    done = convert("labels.csv", "images", "photos")
    assert (done.status, done.err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "photos").iterdir()) == ["a_b", "two", "zero"]
    assert len(list((tmp_path / "photos").rglob("*.png"))) == 50
    assert len(list((tmp_path / "photos_unlabelled").iterdir())) == 10
    assert "data.image_size=64" in done.out
    trained(train, done.out, "data.image_size=28")
    one_hot = pd.DataFrame({"image": [f"img_{i}.png" for i in range(N)], "A": digits[1] == 0, "B": digits[1] > 0})
    one_hot.to_csv(tmp_path / "marks.csv", index=False)
    assert convert("marks.csv", "images", "marked", "--labels", "A,B").status == 0
    assert len(list((tmp_path / "marked/A").iterdir())) == 20
    done = convert("marks.csv", "images", "marks.npz", "--labels", "A,B", "--size", "16")
    assert done.status == 0, done.err
    assert arrays(tmp_path / "marks.npz")["x_train"].shape == (54, 1, 16, 16)
    assert "--size 64 makes arrays" in convert("marks.csv", "images", "n.npz", "--labels", "A,B").err


# only: zoo
def test_recordings_named_by_their_label(
    convert: Callable[..., Finished], train: Callable[..., Finished], tmp_path: Path
) -> None:
    from scipy.io import wavfile

    (tmp_path / "wavs").mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        wave = (3000 * rng.normal(size=2000)).astype(np.int16)
        wavfile.write(tmp_path / f"wavs/{number % 2}_someone_{number}.wav", 8000, wave)
    done = convert("wavs", "sounds")
    assert (done.status, done.err) == (0, "")
    assert [len(list((tmp_path / f"sounds/{label}").iterdir())) for label in "01"] == [20, 20]
    trained(train, done.out, "model=linear", "data.seconds=0.25")


# end only


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nowhere.csv out.npz", "there is no file or folder nowhere.csv"),
        ("text.csv out.npz", "--labels= names"),
        ("text.csv out.zip", "must be an .npz file or a folder"),
        ("numbers.csv out.npz --labels lable", "has no column lable; did you mean label"),
        ("numbers.csv out.npz --shape 5x5", "does not fit: a sample has 2 numbers"),
        ("text.csv folder", "there are no pictures and no recordings"),
        ("broken.mat out.npz", "cannot be read as a MATLAB file"),
        ("empty out.npz", "there is nothing to convert in empty"),
    ],
)
def test_mistakes_are_one_line(words: str, message: str, convert: Callable[..., Finished], tmp_path: Path) -> None:
    (tmp_path / "text.csv").write_text("name,town\nan,b\nc,d\n")
    (tmp_path / "numbers.csv").write_text("a,b,label\n1.5,2,0\n3,4,1\n")
    (tmp_path / "broken.mat").write_bytes(b"nothing of MATLAB's")
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    done = convert(*words.split())
    assert done.status == 1
    assert done.err.startswith("error: ")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def _csv(rows: list[str]) -> bytes:
    return "\n".join(["label,a,b", *rows, ""]).encode()


def _npz(**arrays_of_file: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays_of_file)
    return buffer.getvalue()


def _too_large() -> bytes:
    """An archive of few bytes whose header promises 800 TB."""
    header, archive = io.BytesIO(), io.BytesIO()
    promised = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 28, 28)}
    np.lib.format.write_array_header_1_0(header, promised)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x_train.npy", header.getvalue())
    return archive.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", _csv(["cat,1,2"]), "a single sample with a label cannot be split"),
        ("a.csv", _csv([]), "a.csv has no rows"),
        ("a.csv", _csv(["cat,1,2", ",3,4", "dog,5,6"]), "1 labels of the train samples are missing"),
        ("data_batch_1", pickle.dumps({b"data": np.zeros((3, 3072), np.uint8), b"labels": [0, 1]}), "3, got 2"),
        ("data_batch_1", pickle.dumps({b"data": np.zeros((3, 3000), np.uint8), b"labels": [0, 1, 1]}), "3,072 bytes"),
        ("train-images-idx3-ubyte", struct.pack(">HBBiii", 0, 8, 3, -1, -4, 4) + bytes(16), "says -1x-4x4"),
        ("a.npz", _too_large(), "a.npz cannot be read as a NumPy file (Unable to allocate"),
        ("a.npz", _npz(x=np.zeros((0, 5)), y=np.zeros(0)), "there are no train samples"),
        ("a.npz", _npz(x=np.float32(3), y=np.int64(1)), "expected names such as x and y"),
        ("a.npz", _npz(x=np.full((4, 5), np.nan), y=np.arange(4)), "20 values of the train samples are missing"),
        ("a.npz", _npz(x=np.zeros((4, 5), complex), y=np.arange(4)), "must be real numbers"),
    ],
)
def test_files_without_usable_samples(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=re.escape(message)):
        convert_files([tmp_path / name], tmp_path / "out.npz", Choices())
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_empty_and_contradicting_cells_of_a_table_of_names(digits: Any, tmp_path: Path) -> None:
    folder, table = pictures(tmp_path / "images", digits), tmp_path / "labels.csv"
    rows = [f"img_{number},{'' if number == 2 else number % 2}" for number in range(N)]
    table.write_text("\n".join(["name,label", *rows]))
    convert_files([table, folder], tmp_path / "photos", Choices())
    assert sorted(path.name for path in (tmp_path / "photos").iterdir()) == ["0", "1"]
    assert [path.name for path in (tmp_path / "photos_unlabelled").iterdir()] == ["img_2.png"]
    for more, message in (("img_1,0", "img_1 has two classes, 1 and 0"), ("img_2,a/b\nimg_3,a:b", "share the folder")):
        table.write_text("\n".join(["name,label", *(rows[:2] if "img_2" in more else rows), more]))
        with pytest.raises(UserError, match=message):
            convert_files([table, folder], tmp_path / "again", Choices())
    (folder / "img_0.png").write_bytes(b"no picture")
    table.write_text("\n".join(["name,label", *rows]))
    with pytest.raises(UserError, match="img_0.png cannot be read"):
        convert_files([table, folder], tmp_path / "again", Choices())
    assert not list(tmp_path.glob("*again*"))


def test_errors_of_the_training_name_the_command(tmp_path: Path) -> None:
    (tmp_path / "train.csv.gz").write_text("label,pixel0\n")
    np.savez(tmp_path / "pathmnist.npz", train_images=np.zeros((3, 8, 8)), train_labels=np.zeros(3))
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat/a.png").touch()
    for data, message in (
        (
            Npz(str(tmp_path / "train.csv.gz")),
            r"; python scripts/convert.py \S+train.csv.gz train.npz makes",
        ),
        (
            Npz(str(tmp_path / "pathmnist.npz")),
            r"; python scripts/convert.py \S+ pathmnist_xy.npz renames",
        ),
        (ImageFolder(str(tmp_path / "train.csv.gz")), r"is a file, .* python scripts/convert.py .* for data=npz$"),
        (
            ImageFolder(str(tmp_path / "flat")),
            "got none; if a table or the files' names tell the classes",
        ),
    ):
        with pytest.raises(UserError, match=message):
            data.setup()
