"""The table of a network's layers, against numbers from papers and from torch's own counter."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnnlab.models.alexnet import AlexNet  # only: zoo
from cnnlab.models.lenet5 import LeNet5  # only: zoo
from cnnlab.models.linear import Linear
from cnnlab.models.mlp import MLP  # only: zoo
from cnnlab.models.resnet import ResNet  # only: zoo
from cnnlab.models.tinyvgg import TinyVGG
from cnnlab.models.torchvision import Torchvision  # only: zoo
from cnnlab.models.vgg import VGG  # only: zoo
from cnnlab.workbench.inspection.layers import Inspection, Layer, inspect_model, layer_table

MNIST = (1, 28, 28)


def by_name(inspection: Inspection) -> dict[str, Layer]:
    return {layer.name: layer for layer in inspection.layers}


def test_tinyvgg_by_hand() -> None:
    inspection = inspect_model(TinyVGG(MNIST, 10), MNIST)
    assert inspection.parameters == 7_740
    assert inspection.weight_bytes == 4 * 7_740
    convs = 9 * 1 * 10 * 28**2 + 9 * 10 * 10 * 28**2 + 2 * 9 * 10 * 10 * 14**2
    assert inspection.multiply_adds == convs + 490 * 10
    assert inspection.activation_bytes == 4 * (4 * 10 * 28**2 + 5 * 10 * 14**2 + 10 * 7**2 + 10)
    assert "10 x 7 x 7 = 490 inputs (channels x height x width)" in inspection.fully_connected
    layers = by_name(inspection)
    assert layers["features.0.0.0"] == Layer(
        "features.0.0.0", "Conv2d", MNIST, (10, 28, 28), "3x3", "1", "1", 100, 70_560, (3, 3), 4 * 10 * 28**2
    )
    seen = [layer.receptive_field for layer in inspection.layers if layer.kernel_size]
    assert seen == [(3, 3), (5, 5), (6, 6), (10, 10), (14, 14), (16, 16)]
    assert layers["classifier.0"].activation_bytes == 0  # Flatten is a view
    assert layers["classifier.1"].receptive_field is None


# only: zoo
def test_lenet5() -> None:
    inspection = inspect_model(LeNet5(MNIST, 10), MNIST)
    assert inspection.parameters == 61_706
    assert "16 x 5 x 5 = 400 inputs" in inspection.fully_connected
    assert by_name(inspection)["features.3"].receptive_field == (16, 16)


# end only


NETWORKS = [
    (Linear, MNIST),
    (MLP, MNIST),  # only: zoo
    (TinyVGG, MNIST),
    (LeNet5, MNIST),  # only: zoo
    (AlexNet, MNIST),  # only: zoo
    (VGG, MNIST),  # only: zoo
    (ResNet, MNIST),  # only: zoo
    (Torchvision, (3, 32, 32)),  # only: zoo
    (Linear, (1, 800)),
    (TinyVGG, (1, 800)),
    (ResNet, (2, 800)),  # only: zoo
    (MLP, (1, 12, 12, 12)),  # only: zoo
    (TinyVGG, (1, 12, 12, 12)),
    (VGG, (1, 16, 16, 16)),  # only: zoo
]


@pytest.mark.parametrize(
    ("cls", "shape"), NETWORKS, ids=[f"{cls.__name__}-{'x'.join(map(str, shape))}" for cls, shape in NETWORKS]
)
def test_every_network_and_every_number_of_dims(cls: type[nn.Module], shape: tuple[int, ...]) -> None:
    with torch.device("meta"):
        model = cls(shape, 7)
        with FlopCounterMode(display=False) as flops:
            model.eval()(torch.empty(1, *shape))
    inspection = inspect_model(model, shape)
    assert 2 * inspection.multiply_adds == flops.get_total_flops() > 0
    assert sum(layer.parameters for layer in inspection.layers) == inspection.parameters
    assert inspection.layers[-1].output_shape == (7,)
    assert " = " in inspection.fully_connected
    rows = layer_table(inspection)
    assert len({len(row) for row in rows}) == 1
    assert f"{inspection.parameters:,}" in rows[-1]


# only: zoo
@pytest.mark.parametrize("model", [LeNet5(MNIST, 10), ResNet(MNIST, 10)], ids=["LeNet5", "ResNet"])
def test_the_receptive_field_is_what_gradients_reach(model: nn.Module) -> None:
    """Without ReLUs, which let no gradient through, and max-pools, the pixels with a gradient are those seen."""
    for layers in (module for module in model.modules() if isinstance(module, nn.Sequential)):
        for index, layer in enumerate(layers):
            if isinstance(layer, nn.ReLU):
                layers[index] = nn.Identity()
    shape = (1, 101, 101)
    inspection = inspect_model(model.features, shape)
    pixels = torch.rand(1, *shape, requires_grad=True)
    outputs: Tensor = model.features.double().eval()(pixels.double())
    outputs[0, :, outputs.shape[2] // 2, outputs.shape[3] // 2].sum().backward()
    assert pixels.grad is not None
    rows = pixels.grad[0, 0].abs().sum(dim=1).nonzero().flatten()
    assert inspection.layers[-1].receptive_field == (int(rows[-1] - rows[0]) + 1,) * 2


def test_a_residual_sum_is_a_line_and_sees_along_the_longer_path() -> None:
    layers = by_name(inspect_model(ResNet(MNIST, 10), MNIST))
    assert (layers["features.1"].layer, layers["features.1"].receptive_field) == ("add, relu", (11, 11))
    assert layers["features.1.shortcut"].receptive_field == (3, 3)


@pytest.mark.parametrize(
    ("name", "last", "expected"),
    [
        ("alexnet", "network.features.12", 195),
        ("vgg16", "network.features.30", 212),
        ("resnet18", "network.layer4.1.relu", 435),
        ("inception_v3", "network.Mixed_7c", 1311),
    ],
)
def test_published_receptive_fields(name: str, last: str, expected: int) -> None:
    """Araujo, Norris & Sim, Computing receptive fields of convolutional neural networks, 2019."""
    shape = (3, 299, 299)
    with torch.device("meta"):
        layers = by_name(inspect_model(Torchvision(shape, 10, name), shape))
    assert layers[last].receptive_field == (expected, expected)


# end only


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(1, 2, 3, padding="same", dilation=2), ("3x3", "1", "2", (5, 5))),
        (nn.Conv2d(1, 2, (1, 5), stride=(1, 2), padding=(0, 2)), ("1x5", "1x2", "0x2", (1, 5))),
        (nn.Conv2d(1, 2, 5, padding="valid"), ("5x5", "1", "0", (5, 5))),
        (nn.MaxPool2d(3, stride=2, padding=1), ("3x3", "2", "1", (3, 3))),
        (nn.AdaptiveAvgPool2d(1), ("", "", "", None)),
        (nn.AdaptiveMaxPool2d(7), ("", "", "", (4, 4))),
        (nn.Upsample(scale_factor=2), ("", "", "", (2, 2))),
    ],
    ids=lambda case: type(case).__name__,
)
def test_single_layers(layer: nn.Module, expected: tuple[str, str, str, Sequence[int] | None]) -> None:
    (line,) = inspect_model(layer, MNIST).layers
    assert (line.kernel_size, line.stride, line.padding, line.receptive_field) == expected


def test_an_even_kernel_pads_one_side_more() -> None:
    with pytest.warns(UserWarning, match="even kernel lengths"):
        (line,) = inspect_model(nn.Conv1d(1, 2, 4, padding="same"), (1, 50)).layers
    assert line.padding == "1+2"


def test_a_layer_that_is_called_twice_has_its_parameters_once() -> None:
    conv = nn.Conv2d(4, 4, 3, padding=1)
    first, second = inspect_model(nn.Sequential(conv, conv), (4, 8, 8)).layers
    assert (first.parameters, second.parameters) == (4 * 4 * 9 + 4, 0)
    assert first.multiply_adds == second.multiply_adds
    assert second.receptive_field == (5, 5)


def test_a_layer_that_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match=r"layer 1 Conv2d\(2, 3, .* does not fit its input of 4x28x28"):
        inspect_model(nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(2, 3, 1)), MNIST)


def test_the_model_is_left_as_it_is() -> None:
    model = TinyVGG(MNIST, 10, dropout=0.5)
    inspect_model(model, MNIST)
    assert model.training
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
