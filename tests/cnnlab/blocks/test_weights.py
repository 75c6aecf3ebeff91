"""Weights of one network fit into another of the same architecture, with other channels and other classes."""

import pytest
import torch
from torch import Tensor, nn

from cnnlab.blocks.weights import for_channels, last_layer, load_fitting


def network(channels: int = 3, num_classes: int = 10, width: int = 4) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3),
        nn.BatchNorm2d(width),
        nn.Flatten(),
        nn.Linear(width * 36, num_classes),
    )


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 1, 8, 8)


@pytest.mark.parametrize("channels", [1, 6])
def test_a_picture_with_equal_channels_has_the_same_response(channels: int, images: Tensor) -> None:
    trained, ours = network().eval(), network(channels).eval()
    assert not load_fitting(ours, trained.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours(images.expand(-1, channels, -1, -1)), trained(images.expand(-1, 3, -1, -1)))


def test_colour_gets_a_grey_networks_kernels(images: Tensor) -> None:
    grey, colour = network(1).eval(), network(3).eval()
    load_fitting(colour, grey.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(colour(images.expand(-1, 3, -1, -1)), grey(images))


def test_five_channels_get_the_three_kernels_in_turn() -> None:
    kernels = torch.arange(3.0).reshape(1, 3, 1, 1)
    assert for_channels(kernels, 5).flatten().tolist() == pytest.approx([0, 0.6, 1.2, 0, 0.6])


def test_only_the_last_layer_starts_anew_for_other_classes() -> None:
    trained, ours = network(), network(num_classes=7)
    before = ours[3].weight.clone()
    assert load_fitting(ours, trained.state_dict())
    assert torch.equal(ours[3].weight, before)
    assert torch.equal(ours[0].weight, trained[0].weight)
    assert last_layer(ours) == "3"


def test_early_files_without_a_count_of_batches_are_taken() -> None:
    state = {name: value for name, value in network().state_dict().items() if "num_batches" not in name}
    assert not load_fitting(network(), state)


def test_what_does_not_fit_is_named() -> None:
    state = dict(network(width=5).state_dict())
    state["4.weight"] = state.pop("3.bias")
    with pytest.raises(
        ValueError, match="0.weight is 5x3x3x3 in the file and 4x3x3x3 in the network; .* and [0-9] more"
    ):
        load_fitting(network(), state)
    del state["0.weight"], state["4.weight"]
    fitting = {name: value for name, value in network().state_dict().items() if name != "0.weight"}
    with pytest.raises(ValueError, match="^0.weight is missing; 9 is not in the network$"):
        load_fitting(network(), {**fitting, "9": torch.zeros(1)})
