"""docs/dimensions.md is true: each number is computed here, and each command runs."""

import hashlib
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sounds import spoken_digits, zipped
from torch import nn

from cnnlab.data.audio_features import AudioFeatures
from cnnlab.data.files.wav import wav_bytes
from cnnlab.data.fsdd import FSDD
from cnnlab.data.mnist1d import MNIST1D
from cnnlab.data.organmnist3d import OrganMNIST3D
from cnnlab.data.rt_polarity import RtPolarity
from cnnlab.models.textcnn import TextCNN
from cnnlab.workbench.inspection.layers import inspect_model, joined_sizes
from conftest import PROJECT, Finished

DATA_DIR = Path(os.environ.get("CNNLAB_DATA_DIR") or "nowhere").absolute()
PAGE = (PROJECT / "docs/dimensions.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL) for line in block.splitlines()]
TRAIN = [line for line in COMMANDS if line.startswith("python train.py")]
OF_A_RUN = [line for line in COMMANDS if re.match(r"python (evaluate|predict|scripts/export).py", line)]
OTHERS = [line for line in COMMANDS if re.match(r"python scripts/(inspect_model|shuffle_study).py", line)]


def slow_apart(lines: list[str]) -> list[Any]:
    """Another network for data that are trained on anyway, and a study that has tests of its own, are slow."""
    slow = [line for line in lines if re.search(r"data=(volumes|fsdd) model=|shuffle_study", line)]
    return [pytest.param(line, marks=pytest.mark.slow) if line in slow else line for line in lines]


def rows(first_column: str) -> list[list[str]]:
    """The cells of the table whose header begins so."""
    (table,) = re.findall(rf"^\| {first_column} \|.*\n\|[-:|]+\|\n((?:\|.*\n)+)", PAGE, flags=re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def shape(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("x")))


def make_data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files in the formats of the data sets, and samples to ask a network about."""
    rng = np.random.default_rng(0)
    y = np.arange(800) % 10
    signals = rng.normal(size=(800, 40)).astype(np.float32)
    organs = {}
    for split in ("train", "val", "test"):
        organs[f"{split}_images"] = rng.integers(0, 256, (44, 28, 28, 28), dtype=np.uint8)
        organs[f"{split}_labels"] = (np.arange(44) % 11)[:, None]
    files = {"mnist1d": {"x": signals, "y": y, "x_test": signals[:50], "y_test": y[:50]}, "organmnist3d": organs}
    for name, arrays in files.items():
        path = folder / f"data/{name}/{name}.npz"
        path.parent.mkdir(parents=True)
        np.savez(path, **arrays)
    monkeypatch.setattr(MNIST1D, "known_sha256", checksum(folder / "data/mnist1d/mnist1d.npz", "sha256"))
    monkeypatch.setattr(OrganMNIST3D, "known_md5", checksum(folder / "data/organmnist3d/organmnist3d.npz", "md5"))
    monkeypatch.setenv("CNNLAB_DATA_DIR", str(folder / "data"))
    monkeypatch.setattr(FSDD, "known_sha256", None)
    zipped(folder / "data/fsdd/recordings.zip", spoken_digits())
    (folder / "data/rt-polarity").mkdir()
    for label, word in {"neg": "awful", "pos": "great"}.items():
        lines = [f"this film number {number} is {word}" for number in range(200)]
        (folder / f"data/rt-polarity/rt-polarity.{label}").write_text("\n".join(lines), encoding="utf-8")
    names = [f"rt-polarity.{label}" for label in ("neg", "pos")]
    known = {name: checksum(folder / "data/rt-polarity" / name, "sha256") for name in names}
    monkeypatch.setattr(RtPolarity, "known_sha256", known)
    np.save(folder / "samples.npy", signals[:3])


def checksum(path: Path, algorithm: str) -> str:
    return hashlib.new(algorithm, path.read_bytes()).hexdigest()


def test_every_command_is_tried_below() -> None:
    assert sorted(COMMANDS) == sorted([*TRAIN, *OF_A_RUN, *OTHERS])


@pytest.mark.parametrize("name", ["mnist1d", "fsdd", "rt_polarity"])
def test_sizes_of_data_sets(name: str) -> None:
    files = {
        "mnist1d": "mnist1d/mnist1d.npz",
        "fsdd": "fsdd/recordings.zip",
        "rt_polarity": "rt-polarity/rt-polarity.pos",
    }
    if not (DATA_DIR / files[name]).is_file():
        pytest.skip(f"CNNLAB_DATA_DIR holds no {files[name]}")
    config: Any = OmegaConf.load(PROJECT / f"conf/data/{name}.yaml")
    data = instantiate(OmegaConf.to_container(config) | {"root": str(DATA_DIR)})
    data.setup()
    (row,) = [cells for cells in rows("data") if cells[0] == f"`{name}`"]
    test = sum(len(labels) for _, labels in data.test_dataloader())
    sizes = [f"{size:,}" for size in (len(data.training), len(data.validation), test, data.num_classes)]
    assert [row[1], *row[3:]] == [joined_sizes(data.input_shape), *sizes]


@pytest.mark.parametrize("cells", rows("layer"), ids=lambda cells: cells[0])
def test_numbers_of_one_layer(cells: list[str]) -> None:
    layer, given, came, parameters, multiply_adds = cells
    name, arguments = re.fullmatch(r"`nn\.(\w+)\((.*)\)`", layer).groups()  # type: ignore[union-attr]
    words = [word.partition("=") for word in arguments.split(", ")]
    positional = [int(word) for word, equals, _ in words if not equals]
    built = getattr(nn, name)(*positional, **{key: int(value) for key, equals, value in words if equals})
    seen = inspect_model(nn.Sequential(built), shape(given))
    assert joined_sizes(seen.layers[-1].output_shape) == came
    assert (f"{seen.parameters:,}", f"{seen.multiply_adds:,}") == (parameters, multiply_adds)


@pytest.mark.parametrize("cells", rows("network"), ids=lambda cells: "-".join(cells[:2]))
def test_numbers_of_one_network(cells: list[str]) -> None:
    network, data, given, parameters, multiply_adds, inputs = cells
    config: Any = OmegaConf.load(PROJECT / f"conf/model/{network.strip('`')}.yaml")
    seen = inspect_model(instantiate(config, input_shape=shape(given), num_classes=10), shape(given))
    assert (f"{seen.parameters:,}", f"{seen.multiply_adds:,}") == (parameters, multiply_adds)
    assert f": {inputs} inputs (" in seen.fully_connected
    assert f"| {data} | {given} |" in PAGE


def test_numbers_of_sound() -> None:
    silence = wav_bytes(np.zeros(8_000, np.float32), 8_000)
    assert "one second at 8 kHz is 1x8000" in PAGE
    assert AudioFeatures("waveform").sample(silence).shape == (1, 8_000)
    assert "As 24 mel bands and 51 frames it is 1x24x51" in PAGE
    assert AudioFeatures("log_mel", num_mels=24, hop_ms=20.0).sample(silence).shape == (1, 24, 51)
    assert "without further settings there are 40 bands and 101 frames" in PAGE
    assert AudioFeatures("log_mel").sample(silence).shape == (1, 40, 101)


def test_numbers_of_text() -> None:
    network = TextCNN((1, 40), 2, vocabulary_size=50)
    seen = inspect_model(network, (1, 40))
    assert "128 channels of 40 positions of it, 128x40" in PAGE
    assert "100 x (128 x 3 + 1) = 38,500 parameters" in PAGE
    narrowest = next(layer for layer in seen.layers if layer.layer.startswith("Conv1d"))
    assert narrowest.parameters == 38_500
    assert (narrowest.input_shape, narrowest.output_shape) == ((128, 40), (100, 42))


def test_pictures_are_there() -> None:
    pictures = re.findall(r"!\[.+\]\((.+)\)", PAGE)
    assert pictures
    for name in pictures:
        assert (PROJECT / "docs" / name).is_file(), name


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize("line", slow_apart(TRAIN))
def test_train(line: str, smoke: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_data(tmp_path, monkeypatch)
    is_small = "organmnist3d" in line or "fsdd" in line
    data = ["data.train_size=40", "data.batch_size=16"] if is_small else ["data.train_size=128"]
    run = smoke(*shlex.split(line)[2:], *data, "data.val_size=20", "logger=none", "trainer.max_epochs=1")
    assert run.status == 0, run.err
    assert run.metrics["epochs"] == 1


@pytest.mark.usefixtures("white_figures")
def test_what_can_be_made_of_a_run(
    smoke: Callable[..., Finished],
    command: Callable[..., Finished],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_data(tmp_path, monkeypatch)
    assert smoke("data=mnist1d", "logger=none").status == 0
    for line in OF_A_RUN:
        done = command(*shlex.split(line)[1:])
        assert done.status == 0, done.err


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize("line", slow_apart(OTHERS))
def test_study_and_layers(
    line: str, command: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_data(tmp_path, monkeypatch)
    program, *arguments = shlex.split(line)[1:]
    if "shuffle_study" in program:
        arguments += ["--smoke", "--seeds", "0", "--data", "mnist1d"]
    done = command(program, *arguments)
    assert done.status == 0, done.err
    assert list(tmp_path.glob("outputs/*/*.png"))
