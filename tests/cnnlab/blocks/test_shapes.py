"""Shapes are inferred without arithmetic, and what cannot work is named with its sizes."""

import warnings

import pytest
import torch
from torch import nn

from cnnlab.blocks.shapes import output_shape, settle_lazy_layers


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_shape_is_the_one_a_real_batch_gets(dims: int) -> None:
    conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
    network = nn.Sequential(conv(2, 5, 3, stride=2), nn.ReLU())
    shape = (2, *[11] * dims)
    assert output_shape(network, shape) == tuple(network(torch.zeros(3, *shape)).shape[1:]) == (5, *[5] * dims)


def test_nothing_is_changed_drawn_or_computed() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random_state = torch.get_rng_state()
    assert output_shape(network, (1, 8, 8)) == (4, 6, 6)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert output_shape(nn.Conv2d(1, 1, 1), (1, 1_000_000, 1_000_000)) == (1, 1_000_000, 1_000_000)  # 4 TB if real


def test_layer_larger_than_its_input_is_named_with_its_sizes() -> None:
    network = nn.Sequential(nn.MaxPool2d(2), nn.Sequential(nn.Conv2d(3, 4, 7)))
    with pytest.raises(
        ValueError, match=r"layer 1\.0 Conv2d\(3, 4, kernel_size=\(7, 7\).* its input of 3x4x4 \(data of 3x8x8\): .+"
    ):
        output_shape(network, (3, 8, 8))


def test_feature_map_shrunk_to_nothing_is_named() -> None:
    pools = nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(2), nn.MaxPool2d(2))
    with pytest.raises(ValueError, match=r"layer 2 MaxPool2d\(kernel_size=2.* its input of 1x1x1 \(data of 1x4x4\)"):
        output_shape(pools, (1, 4, 4))


def test_empty_feature_map_never_reaches_a_layer_that_would_take_it() -> None:
    class Cut(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., 1:]

    with pytest.raises(ValueError, match="ReLU.*1x4x0.*shrunk to nothing"):
        output_shape(nn.Sequential(Cut(), nn.ReLU()), (1, 4, 1))
    with pytest.raises(ValueError, match="Cut.*shrunk to nothing"):
        output_shape(Cut(), (1, 4, 1))


def test_wrong_number_of_channels_is_named() -> None:
    with pytest.raises(ValueError, match=r"layer Conv2d\(3, 4.* its input of 1x8x8"):
        output_shape(nn.Conv2d(3, 4, 3), (1, 8, 8))


class Scaled(nn.Module):
    """Looks at numbers, which the meta device has not, and keeps a tensor that no `to` moves."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Dropout(), nn.Linear(4, 3), nn.BatchNorm1d(3))
        self.plain = torch.ones(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(x / max(x.abs().max().item(), 1.0) + self.plain)
        return outputs + torch.zeros(3)


class Recurrent(nn.Module):
    """Makes its own first state."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 6, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = torch.zeros(1, len(x), 6), torch.zeros(1, len(x), 6)
        outputs: torch.Tensor = self.lstm(x, state)[0][:, -1]
        return outputs


class Normed(nn.Module):
    """Its weight is computed from parameters, so that it cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch would rather have the new one
            self.old = nn.utils.weight_norm(nn.Linear(4, 4))
        self.new = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
        self.drop = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.new(self.drop(self.old(x)))
        return outputs


@pytest.mark.parametrize(
    ("network", "shape", "expected"), [(Scaled, (4,), (3,)), (Recurrent, (5, 4), (6,)), (Normed, (4,), (3,))]
)
def test_networks_that_need_numbers_to_go_forward(
    network: type[nn.Module], shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    built = network()
    before, random_state = {name: value.clone() for name, value in built.state_dict().items()}, torch.get_rng_state()
    modes = [part.training for part in built.modules()]
    assert output_shape(built, shape) == expected
    assert all(torch.equal(value, before[name]) for name, value in built.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert [part.training for part in built.modules()] == modes
    assert not any(part._forward_pre_hooks for part in built.modules() if isinstance(part, nn.Dropout))


def test_a_network_that_needs_numbers_and_does_not_fit_is_told_its_own_reason() -> None:
    with pytest.raises(ValueError, match=r"layer layer.1 Linear\(.*does not fit its input of 5 \(data of 5\): .*5.*4"):
        output_shape(Loose(), (5,))
    with pytest.raises(ValueError, match="expected a tensor of the network, got tuple"):
        output_shape(nn.LSTM(4, 6, batch_first=True), (5, 4))


class Loose(Scaled):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(x * x.abs().max().item())
        return outputs


def test_lazy_layers_get_their_sizes() -> None:
    network = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(10))
    settle_lazy_layers(network, (1, 8, 8))
    assert sum(parameter.numel() for parameter in network.parameters()) == 4 * 9 + 4 + 8 + 4 * 36 * 10 + 10
    assert network.training
    assert network[1].num_batches_tracked == 0
    assert output_shape(network, (1, 8, 8)) == (10,)
    with pytest.raises(ValueError, match="layer 0 Conv2d.* does not fit its input of 1x2x2"):
        settle_lazy_layers(nn.Sequential(nn.LazyConv2d(4, 3)), (1, 2, 2))


def test_a_network_without_numbers_is_asked_where_it_lies() -> None:
    """Which torch 2.11 insists on: libraries' networks are tried on the meta device."""
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))
    assert output_shape(network, (1, 28, 28)) == (10,)
