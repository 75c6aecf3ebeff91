"""torchvision's classifiers take any number of channels and images as small as MNIST's."""

import pytest
import torch
import torchvision.models as zoo
from torch import nn
from torchvision.models.regnet import BlockParams

from cnnlab.models.torchvision import Torchvision

# One of every family, the smallest where it makes a difference in time.
NAMES = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "vgg11",
    "vgg13_bn",
    "vit_b_32",
]


def family(name: str) -> str:
    return zoo.get_model_builder(name).__module__


def test_every_family_is_tested() -> None:
    assert {family(name) for name in NAMES} == {family(name) for name in zoo.list_models(module=zoo)}


@pytest.fixture
def meta(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Without arithmetic; RegNet computes its widths with tensors, which need a real device."""
    from_init_params = BlockParams.from_init_params

    def on_cpu(*args: object, **kwargs: object) -> BlockParams:
        with torch.device("cpu"):
            return from_init_params(*args, **kwargs)

    monkeypatch.setattr(BlockParams, "from_init_params", on_cpu)
    return torch.device("meta")


# Convolutions of two kinds, a last layer that is one, a net with two outputs and one without convolutions.
QUICK = {"alexnet", "resnet18", "squeezenet1_1", "inception_v3", "vit_b_32"}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_small_grey_images_become_logits(name: str, meta: torch.device) -> None:
    with meta:
        assert Torchvision((1, 28, 28), 10, name)(torch.empty(2, 1, 28, 28)).shape == (2, 10)


def test_small_images_keep_their_resolution() -> None:
    with torch.device("meta"):
        network = Torchvision((1, 28, 28), 10, "resnet18").network
    assert (network.conv1.in_channels, network.conv1.kernel_size, network.conv1.stride) == (1, (3, 3), (1, 1))
    assert isinstance(network.maxpool, nn.Identity)


def test_fixed_size_networks_see_enlarged_images() -> None:
    with torch.device("meta"):
        network = Torchvision((1, 28, 28), 10, "vit_b_32")
    assert network.resize_to == 224
    assert (network.network.conv_proj.in_channels, network.network.conv_proj.stride) == (1, (32, 32))


def test_images_of_the_usual_size_get_torchvisions_own_network() -> None:
    ours = Torchvision((3, 64, 64), 10, "mobilenet_v3_small").eval()
    theirs = zoo.mobilenet_v3_small(num_classes=10).eval()
    theirs.load_state_dict(ours.network.state_dict())
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))


@pytest.mark.parametrize(
    ("input_shape", "name", "message"),
    [
        ((1, 28, 28), "resnet19", "torchvision has no classifier 'resnet19'; did you mean resnet"),
        ((1, 28, 28), "fasterrcnn_resnet50_fpn", "torchvision has no classifier 'fasterrcnn_resnet50_fpn'"),
        ((1, 40), "resnet18", r"torchvision's classifiers take images \(C, H, W\), got data of shape \(1, 40\)"),
        ((1, 8, 8, 8), "resnet18", r"take images \(C, H, W\), got data of shape \(1, 8, 8, 8\)"),
    ],
)
def test_refused(input_shape: tuple[int, ...], name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Torchvision(input_shape, 10, name)
