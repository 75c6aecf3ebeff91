"""A training starts from a file's weights and their normalisation, and what continues or uses it needs no file."""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.models as zoo
from omegaconf import DictConfig
from torch import nn

import cnnlab
from cnnlab.blocks.library_network import Published
from cnnlab.building import build_data, build_model
from cnnlab.data.datamodule import DataModule
from cnnlab.errors import UserError
from cnnlab.pretrained import load_pretrained
from cnnlab.saved_run import load_data, load_model
from cnnlab.weight_files import downloaded
from conftest import Finished
from test_config import composed

NAME = "shufflenet_v2_x0_5"
NETWORK = ["model=torchvision", f"model.name={NAME}", "trainer=smoke", "logger=none", "test=false", "scheduler=none"]
NETWORK += ["data.train_size=100", "data.val_size=50", "trainer.limit_train_batches=2"]
IMAGENET = ([0.449], [0.226])  # the means of the three channels


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as torchvision publishes it: three channels, a thousand classes."""
    path = tmp_path_factory.mktemp("weights") / "published.pth"
    torch.manual_seed(0)
    torch.save(zoo.get_model(NAME).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def _finetuned_once(
    _no_network_and_an_empty_cache: None, weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CNNLAB_DATA_DIR", raising=False)
        patch.chdir(tmp_path_factory.mktemp("finetuned"))
        shutil.copy(weights, "gone.pth")
        folder = cnnlab.train([*NETWORK, "model.weights=gone.pth", "callbacks=finetune"]).folder
        Path("gone.pth").unlink()
    return folder


@pytest.fixture
def finetuned(_finetuned_once: Path, tmp_path: Path, without_data: None) -> Path:
    return Path(shutil.copytree(_finetuned_once, tmp_path / "run"))


@pytest.fixture
def data(without_data: None) -> DataModule:
    return build_data(composed(*NETWORK))


def build(data: DataModule, *overrides: str) -> tuple[DictConfig, nn.Module]:
    config: DictConfig = composed(*NETWORK, *overrides)
    return config, build_model(config, data.input_shape, data.num_classes)


def test_the_frozen_layers_are_those_of_the_file(finetuned: Path, weights: Path) -> None:
    state = torch.load(finetuned / "checkpoints/last.ckpt")["state_dict"]
    for name, value in torch.load(weights).items():
        ours = state[f"model.network.{name}"]
        if name == "conv1.0.weight":
            assert torch.equal(ours, value.sum(dim=1, keepdim=True))
        elif name.startswith("fc."):
            assert ours.shape[0] == 10
        else:
            assert torch.equal(ours, value), name


def test_everything_is_normalised_as_the_weights_expect(finetuned: Path) -> None:
    saved = load_model(finetuned)
    assert (saved.data["mean"], saved.data["std"]) == (pytest.approx(IMAGENET[0]), pytest.approx(IMAGENET[1]))
    data = load_data(saved)
    assert (list(data.mean), list(data.std)) == (saved.data["mean"], saved.data["std"])
    inputs, _ = next(iter(data.val_dataloader()))
    assert float(inputs.min()) == pytest.approx(-0.449 / 0.226, rel=1e-3)


def test_a_run_continues_without_the_file(finetuned: Path, train: Callable[..., Finished]) -> None:
    resumed = train(f"resume={finetuned}", "trainer.max_epochs=2")
    assert resumed.status == 0, resumed.err
    before, now = (torch.load(finetuned / f"checkpoints/{name}.ckpt") for name in ("best", "last"))
    assert now["epoch"] == 1
    assert now["data"]["mean"] == before["data"]["mean"]
    name = "model.network.conv5.0.weight"
    assert not torch.equal(now["state_dict"][name], before["state_dict"][name])  # no longer frozen


def test_a_runs_checkpoint_is_a_start_too(finetuned: Path, data: DataModule) -> None:
    """With the same classes the last layer is kept; mean and deviation are those that the run had."""
    path = finetuned / "checkpoints/best.ckpt"
    config, model = build(data, f"model.weights='{path}'", "model.stem=original")
    load_pretrained(config, model, data)
    state = torch.load(path)["state_dict"]
    assert torch.equal(model.state_dict()["network.fc.weight"], state["model.network.fc.weight"])
    assert list(data.mean) == pytest.approx(IMAGENET[0])


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param("module.", marks=pytest.mark.slow),
        pytest.param("_orig_mod.", marks=pytest.mark.slow),
        "module._orig_mod.",
    ],
)
def test_what_trained_the_network_around_it_is_taken_off(
    prefix: str, data: DataModule, weights: Path, tmp_path: Path
) -> None:
    state = torch.load(weights)
    torch.save({prefix + name: value for name, value in state.items()}, tmp_path / "wrapped.pth")
    config, model = build(data, f"model.weights='{tmp_path / 'wrapped.pth'}'", "model.stem=original")
    load_pretrained(config, model, data)
    name = "network.stage2.0.branch1.0.weight"
    assert torch.equal(model.state_dict()[name], state[name.removeprefix("network.")])


def test_values_that_are_no_pictures_keep_their_own_statistics(data: DataModule, weights: Path) -> None:
    data.normalise_by([-3.0], [2.0])
    load_pretrained(*build(data, f"model.weights='{weights}'"), data)
    assert (data.mean, data.std) == ((-3.0,), (2.0,))


@pytest.mark.parametrize("about", [None, {"mean": 0.1, "std": 0.3}, {"mean": [0.1], "std": [0.0]}, {"mean": ["a"]}])
def test_a_file_that_says_nothing_of_use_about_its_data(about: Any, data: DataModule, tmp_path: Path) -> None:
    before, path = data.std, tmp_path / "other_code.ckpt"
    model = build_model(composed("model=linear"), data.input_shape, data.num_classes)
    torch.save({"state_dict": model.state_dict(), "data": about}, path)
    config = composed("model=linear", f"+model.weights='{path}'")
    start = build_model(config, data.input_shape, data.num_classes)
    load_pretrained(config, start, data)
    assert data.std == before
    for name, value in model.state_dict().items():
        assert torch.equal(start.state_dict()[name], value)


def test_other_words_are_refused_and_other_classes_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    texts = {name: [f"{name}{number} " + 6 * f"{name}{number % 3} " for number in range(40)] for name in ("a", "b")}
    for name, lines in texts.items():
        rows = [f"{text},{number % 2}" for number, text in enumerate(lines)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *rows]))
    overrides = ("data=text_csv", "model=textcnn", "data.text_column=text", "data.label_column=label")
    theirs, ours = (build_data(composed(*overrides, f"data.path={tmp_path / name}.csv")) for name in texts)
    assert len(theirs.vocabulary or ()) == len(ours.vocabulary or ())
    config = composed(*overrides, f"data.path={tmp_path}/b.csv", f"+model.weights='{tmp_path}/a.ckpt'")
    model = build_model(config, ours.input_shape, ours.num_classes, ours.vocabulary)
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "data": theirs.description()}, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="a.ckpt knows other words"):
        load_pretrained(config, model, ours)
    torch.save({"state_dict": state, "data": ours.description()}, tmp_path / "a.ckpt")
    load_pretrained(config, model, ours)
    assert "knows the classes" not in caplog.text
    ours.class_names = ("bad", "good")
    load_pretrained(config, model, ours)
    assert "a.ckpt knows the classes ['0', '1'], but this training has ['bad', 'good']" in caplog.text


def test_what_does_not_fit_is_refused_in_one_line(data: DataModule, weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    config, model = build(data, f"model.weights='{path}'")
    state = torch.load(weights)
    for content, message in (
        (None, "there is no file .*x.pth$"),
        ({**state, "conv1.0.weight": torch.zeros(24, 3, 5, 5)}, "24x1x5x5 in the file .*; model.stem=small builds the"),
        (nn.Conv2d(1, 1, 3).state_dict(), "conv1.0.weight is missing; .* and [0-9]+ more; are model and model.name"),
        ({**state, "fc.bias": state["fc.bias"].log()}, "x.pth holds NaN or infinity, in fc.bias; its training went"),
        ([torch.zeros(1)], "does not hold the weights of a network by their names"),
        (nn.Linear(1, 1), "is refused: it is damaged or holds more than tensors"),
    ):
        if content is not None:
            torch.save(content, path)
        with pytest.raises(UserError, match=message) as caught:
            load_pretrained(config, model, data)
        assert "\n" not in str(caught.value)


def test_published_weights_are_downloaded_once_and_checked(tmp_path: Path, without_data: None) -> None:
    content = b"some weights"
    digits = hashlib.sha256(content).hexdigest()[:8]
    name = f"net-{digits}.pth"
    (tmp_path / name).write_bytes(content)
    published = Published((tmp_path / name).as_uri(), name)
    found = downloaded(published)
    assert found.read_bytes() == content
    (tmp_path / name).unlink()
    assert downloaded(published) == found
    found.write_bytes(b"other weights")
    with pytest.raises(UserError, match=f"is damaged: expected a SHA-256 that begins with {digits}, got .*delete"):
        downloaded(published)
    found.unlink()
    (tmp_path / name).write_bytes(b"other weights")
    with pytest.raises(UserError, match="nor can it be downloaded .*hash"):
        downloaded(published)
    assert not found.exists()


def test_without_a_network_the_error_says_where_the_file_belongs(data: DataModule) -> None:
    with pytest.raises(UserError) as caught:
        load_pretrained(*build(data, "model.weights=DEFAULT"), data)
    assert re.search("shufflenetv2_x0.5-f707e7126e.pth is neither in .*weights nor can it", str(caught.value))
    assert str(caught.value).endswith("or give model.weights=<file>")
    with pytest.raises(UserError, match=r"weights must be IMAGENET1K_V1, DEFAULT or .* did you mean DEFAULT\?"):
        build(data, "model.weights=DEFAUTL")
