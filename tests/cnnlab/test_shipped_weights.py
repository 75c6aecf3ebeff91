"""The weights that ship with the package score what they say, and are what a training may start from."""

import os
import re
from collections.abc import Callable
from copy import copy
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from cnnlab.building import build_data, build_model
from cnnlab.data.datamodule import DataModule
from cnnlab.errors import UserError
from cnnlab.pretrained import load_pretrained
from cnnlab.runs import shipped
from cnnlab.saved_run import load_data, load_model
from conftest import PROJECT, SMOKE, Finished, embedded_digits
from test_config import composed

DATA_DIR = Path(os.environ.get("CNNLAB_DATA_DIR") or "nowhere").absolute()
needs_mnist = pytest.mark.skipif(
    not (DATA_DIR / "MNIST/raw/t10k-images-idx3-ubyte").is_file(), reason="CNNLAB_DATA_DIR holds no MNIST/raw"
)
NAMES = shipped.names()
LEAST = 0.98  # of the embedded digits, which are from MNIST's training images


@pytest.fixture(scope="module")
def _data_once(_no_network_and_an_empty_cache: None) -> DataModule:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CNNLAB_DATA_DIR", raising=False)
        return build_data(composed("data.train_size=50"))


@pytest.fixture
def data(_data_once: DataModule) -> DataModule:
    """A copy for one test, which may normalise it otherwise."""
    return copy(_data_once)


def network(data: DataModule, *overrides: str) -> tuple[DictConfig, nn.Module]:
    config = composed(*overrides)
    return config, build_model(config, data.input_shape, data.num_classes)


@pytest.mark.parametrize("name", NAMES)
def test_digits_that_every_machine_has_are_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved = load_model(f"pretrained:{name}")
    pixels, labels = (torch.tensor(array[::10]) for array in embedded_digits())
    inputs = (pixels[:, None] / 255 - saved.data["mean"][0]) / saved.data["std"][0]
    with torch.no_grad():
        right = saved.model(inputs).argmax(dim=1) == labels
    assert right.double().mean() >= LEAST


@pytest.mark.slow
@needs_mnist
@pytest.mark.parametrize("name", NAMES)
def test_the_official_test_images_give_the_accuracy_of_the_record(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To two images of ten thousand, as sums differ in their last bits between machines."""
    monkeypatch.setenv("CNNLAB_DATA_DIR", str(DATA_DIR))
    monkeypatch.chdir(tmp_path)
    saved = load_model(f"pretrained:{name}")
    num_right = num_images = 0
    with torch.no_grad():
        for inputs, labels in load_data(saved).test_dataloader():
            num_right += int((saved.model(inputs).argmax(dim=1) == labels).sum())
            num_images += len(labels)
    record = shipped.read_record(name)
    assert num_images == 10_000
    assert num_right / num_images == pytest.approx(record["files"]["metrics.json"]["test/accuracy"], abs=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_accuracy_is_that_of_the_recipe(name: str) -> None:
    """A recipe in conf/experiment tells the mean and deviation of several seeds, of which this is one."""
    record = shipped.read_record(name)
    recipe = re.search(r" experiment=(\w+)", record["command"])
    if recipe is None:
        pytest.skip("the weights are of no recipe in conf/experiment")
    text = (PROJECT / f"conf/experiment/{recipe[1]}.yaml").read_text(encoding="utf-8")
    told = re.search(r"([\d.]+) ± ([\d.]+) % on MNIST's test set", text)
    assert told is not None
    mean, deviation = map(float, told.groups())
    measured = 100 * record["files"]["metrics.json"]["test/accuracy"]
    assert measured == pytest.approx(mean, abs=4 * deviation + 0.01)


@pytest.mark.parametrize("name", ["tinyvgg", "lenet5", "vgg"])
def test_the_documentation_tells_the_scores_and_the_settings(name: str) -> None:
    record = shipped.read_record(name)
    scores = [f"{100 * record['files']['metrics.json'][f'{split}/accuracy']:.2f}" for split in ("val", "test")]
    text = (PROJECT / "docs/models.md").read_text(encoding="utf-8")
    told = re.search(rf"^\| `{name}` \| ([\d.]+) \| ([\d.]+) \| (.*) \|$", text, re.MULTILINE)
    assert told is not None
    assert [told[1], told[2]] == scores
    words = [] if told[3] == "nothing" else told[3].strip("`").split()
    config = composed(f"model={name}", *words)
    assert OmegaConf.to_container(config.model) == record["files"][shipped.CONFIG]["model"]


@pytest.mark.parametrize("name", ["tinyvgg", "lenet5", "vgg"])
def test_a_training_starts_from_them(name: str, data: DataModule, caplog: pytest.LogCaptureFixture) -> None:
    record = shipped.read_record(name)
    trained = record["files"][shipped.CONFIG]["model"]
    settings = [f"model.{key}={value}".replace(" ", "") for key, value in trained.items() if key != "_target_"]
    config, model = network(data, f"model={name}", *settings, "+model.weights=pretrained")
    with caplog.at_level("INFO"):
        load_pretrained(config, model, data)
    for key, value in shipped.read_weights(name, record).items():
        assert torch.equal(model.state_dict()[key], value), key
    assert (list(data.mean), list(data.std)) == (record["data"]["mean"], record["data"]["std"])
    assert f"pretrained:{name}" in caplog.text
    assert "trained with" not in caplog.text


def test_another_activation_is_told_and_other_classes_get_a_new_last_layer(
    data: DataModule, caplog: pytest.LogCaptureFixture
) -> None:
    data.num_classes = 7
    config, model = network(data, "model.activation=tanh", "+model.weights=pretrained")
    with caplog.at_level("INFO"):
        load_pretrained(config, model, data)
    state = shipped.read_weights("tinyvgg", shipped.read_record("tinyvgg"))
    assert torch.equal(model.state_dict()["features.0.0.0.weight"], state["features.0.0.0.weight"])
    assert model.state_dict()["classifier.1.weight"].shape == (7, 490)
    assert 'WARNING: they were trained with model.activation="relu", without' in caplog.text
    assert "pretrained:tinyvgg; the last layer starts anew" in caplog.text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+model.weights=pretrained", "model.hidden_units=12"], "10x1x3x3 .*; they were trained with .*_units=10$"),
        (["+model.weights='pretrained:vgg'"], "features.0.0.0.weight is missing.*; they were trained with model=vgg$"),
        (["+model.weights=pretrained", "model=linear"], "pretrained:linear: no such weights ship"),
        (["+model.weights=pretraned"], "must be pretrained or the path of a file .*; did you mean pretrained?"),
        (["+model.weights=3"], "model.weights: expected str or null, got 3"),
        (["+model.weights=nowhere.ckpt"], "there is no file nowhere.ckpt"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(overrides: list[str], message: str, data: DataModule) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_pretrained(*network(data, *overrides), data)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("white_figures")
def test_any_network_starts_from_a_run(train: Callable[..., Finished], command: Callable[..., Finished]) -> None:
    """From its checkpoint, and from what it was exported to; both know how the data were normalised."""
    first = train("model=linear", *SMOKE)
    assert first.folder is not None
    folder = train("model=linear", f"model.weights={first.folder}", *SMOKE)
    assert f"there is no file {first.folder}; {first.folder} is a run, whose weights are" in folder.err
    files = [first.folder / "checkpoints/best.ckpt"]
    # only: workbench
    assert command("scripts/export.py", f"run={first.folder}", "format=safetensors").status == 0
    files.append(first.folder / "export/model.safetensors")
    # end only
    trained = torch.load(files[0])["state_dict"]
    for file in files:
        second = train("model=linear", f"model.weights={file}", *SMOKE, "optimizer.lr=1e-12", "scheduler=none")
        assert second.status == 0, second.err
        assert second.folder is not None
        best = torch.load(second.folder / "checkpoints/best.ckpt")
        torch.testing.assert_close(best["state_dict"], trained)
        assert "normalised as these weights expect" in second.out
