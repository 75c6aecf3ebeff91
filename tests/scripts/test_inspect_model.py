"""`python scripts/inspect_model.py`: a table, a CSV file and a picture, or one line that says what is wrong."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import fork_server
from conftest import PROJECT, Finished

MNIST = ["input_shape=[1,28,28]", "num_classes=10"]


@pytest.fixture
def inspect(command: Callable[..., Finished]) -> Callable[..., Finished]:
    """Run `python scripts/inspect_model.py <arguments>`."""
    return partial(command, "scripts/inspect_model.py")


def test_tinyvgg(inspect: Callable[..., Finished], tmp_path: Path) -> None:
    done = inspect(*MNIST)
    assert (done.status, done.err) == (0, "")
    assert "weights: 7,740 parameters, 30.2 KiB" in done.out
    assert "10 x 7 x 7 = 490 inputs (channels x height x width)" in done.out
    table = pd.read_csv(tmp_path / "outputs/inspection/tinyvgg.csv")
    assert table["parameters"].sum() == 7_740
    assert list(table["output_shape"][table["layer"] == "MaxPool2d"]) == ["10x14x14", "10x7x7"]
    with Image.open(tmp_path / "outputs/inspection/tinyvgg.png") as picture:
        assert picture.width == 1120
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {f"outputs/inspection/tinyvgg.{ending}" for ending in ("csv", "png")}


MODELS = sorted(path.stem for path in (PROJECT / "conf/model").glob("*.yaml"))
# only: zoo
# textcnn needs texts: tests/workbench/test_texts.py inspects it.
MODELS.remove("textcnn")
# end only
LARGE = {"alexnet", "compact_cnn", "resnet", "torchvision", "vgg"}


@pytest.mark.parametrize(
    "model", [pytest.param(model, marks=pytest.mark.slow) if model in LARGE else model for model in MODELS]
)
def test_every_model(model: str, inspect: Callable[..., Finished], tmp_path: Path) -> None:
    if model == "timm":  # only: zoo
        pytest.importorskip("timm")  # only: zoo
    done = inspect(f"model={model}", *MNIST, "out=a, b=c")
    assert (done.status, done.err) == (0, "")
    (picture,) = (tmp_path / "a, b=c").glob(f"{model}*.png")
    assert picture.stat().st_size > 5_000


# only: zoo
@pytest.mark.slow
def test_long_networks_stay_one_picture(inspect: Callable[..., Finished], tmp_path: Path) -> None:
    assert inspect("model=torchvision", "model.name=densenet121", *MNIST).status == 0
    with Image.open(tmp_path / "outputs/inspection/torchvision-densenet121.png") as picture:
        assert picture.height < 1000


# end only


def test_sound(inspect: Callable[..., Finished]) -> None:
    done = inspect("input_shape=[1,8000]", "num_classes=35")
    assert (done.status, done.err) == (0, "")
    assert "10 x 2000 = 20000 inputs (channels x length)" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=tinyvg", *MNIST], "did you mean tinyvgg?"),
        (["model.hidden_unit=3", *MNIST], "did you mean model.hidden_units?"),
        (["kernel=3", *MNIST], "unknown key kernel"),
        (["model.kernel_size=30", *MNIST], "kernel_size=30 is larger than the data (28x28)"),
        (["input_shape=[1,28,28]"], "give both or neither"),
        (["input_shape=[1]", "num_classes=2"], "expected input_shape=[channels, 1 to 3 sizes]"),
        (["input_shape=[1,0]", "num_classes=2"], "got [1, 0] and 2"),
        (["input_shape=28", "num_classes=2"], "input_shape: expected a list of int or null, got 28"),
        (["out=file/below", *MNIST], "out: cannot write to file/below"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str], words: str, inspect: Callable[..., Finished], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = inspect(*arguments)
    assert done.status == 1
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert words in done.err
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.slow
def test_in_a_process_of_its_own_the_shape_comes_from_the_data(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-W", "error", str(PROJECT / "scripts/inspect_model.py")]
    done = fork_server.run(command, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("WARNING: this is not MNIST but 5,000 of its 70,000 digits")
    assert "tinyvgg on data of 1x28x28" in done.stdout
    assert "7,740 parameters" in done.stdout
    assert "10 x 7 x 7 = 490 inputs" in done.stdout


def test_a_bug_leaves_no_traceback_file(
    inspect: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cnnlab.workbench.inspection.layers.layer_table", lambda inspection: 1 / 0)
    done = inspect(*MNIST)
    assert done.status == 1
    assert "ZeroDivisionError" in done.err
    assert list(tmp_path.iterdir()) == []
