"""The layer table gives torch's own layers for every number of spatial dims, and refuses what torch leaves open."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cnnlab.blocks.layers import activation, at_least_one, conv, global_avg_pool, norm, pool

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
DIMS = [1, 2, 3]


def samples(dims: int, channels: int = 2, size: int = 9) -> torch.Tensor:
    return torch.rand(3, channels, *[size] * dims, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding"),
    [(3, 1, "same"), (5, 1, "same"), (3, 1, "valid"), (3, 2, "valid"), (3, 2, 1), (5, 3, 0), (1, 1, 2)],
)
def test_conv_is_torchs_conv_with_the_same_arguments(
    dims: int, kernel_size: int, stride: int, padding: int | str
) -> None:
    ours = conv(dims, 2, 4, kernel_size, stride, padding)
    theirs = CONVS[dims](2, 4, kernel_size, stride, padding)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(samples(dims)), theirs(samples(dims)), rtol=0, atol=0)


@pytest.mark.parametrize("dims", DIMS)
def test_a_depthwise_conv_filters_every_channel_by_itself(dims: int) -> None:
    layer = conv(dims, 2, 2, 3, groups=2, bias=False)
    alone = CONVS[dims](1, 1, 3, padding="same", bias=False)
    inputs = samples(dims)
    for channel, kernel in enumerate(layer.weight):
        alone.load_state_dict({"weight": kernel[None]})
        one = slice(channel, channel + 1)
        torch.testing.assert_close(layer(inputs)[:, one], alone(inputs[:, one]))


def test_padding_takes_one_int_per_dim() -> None:
    layer = conv(2, 1, 1, kernel_size=3, padding=[0, 2])
    assert layer(torch.zeros(1, 1, 8, 8)).shape == (1, 1, 6, 10)


@pytest.mark.parametrize("bias", [True, False])
def test_conv_bias(bias: bool) -> None:
    assert (conv(2, 1, 4, 3, bias=bias).bias is not None) == bias


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 0}, "kernel_size must be at least 1, got 0"),
        ({"kernel_size": 3, "stride": 0}, "stride must be at least 1, got 0"),
        (
            {"kernel_size": 3, "padding": "full"},
            "padding must be same, valid, an int or one int per spatial dim, got 'f",
        ),
        ({"kernel_size": 5, "stride": 2}, "padding=same needs stride=1, got stride=2; use padding=2"),
        ({"kernel_size": 3, "padding": [1, 1, 1]}, r"padding must hold 2 ints, one per spatial dim, got \[1, 1, 1\]"),
        ({"kernel_size": 3, "padding": -1}, r"padding must not be negative, got \[-1, -1\]"),
    ],
)
def test_conv_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conv(2, 1, 4, **arguments)


@pytest.mark.parametrize("dims", [0, 4])
def test_conv_names_the_spatial_dims_it_cannot_serve(dims: int) -> None:
    with pytest.raises(ValueError, match=f"1, 2 or 3 spatial dims, got {dims}"):
        conv(dims, 1, 4, 3)


@pytest.mark.parametrize("dims", DIMS)
def test_batch_norm_gives_every_channel_mean_0_and_variance_1(dims: int) -> None:
    outputs = norm(dims, "batch", 2)(5 + 3 * samples(dims)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(outputs.mean(1), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(outputs.var(1, correction=0), torch.ones(2), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("channels", "groups"), [(16, 8), (10, 5), (7, 7), (1, 1), (11, 1)])
def test_group_norm_has_at_most_8_groups_and_always_fits(channels: int, groups: int) -> None:
    layer = norm(2, "group", channels)
    assert layer.num_groups == groups
    per_group = layer(5 + 3 * samples(2, channels)).reshape(3, groups, -1)
    torch.testing.assert_close(per_group.mean(2), torch.zeros(3, groups), atol=1e-5, rtol=0)


def test_no_norm_is_no_layer() -> None:
    assert norm(2, "none", 4) is None


def test_unknown_norm_is_refused() -> None:
    with pytest.raises(ValueError, match="norm must be none, batch or group, got 'layer'"):
        norm(2, "layer", 4)


@pytest.mark.parametrize(("name", "cls"), [("relu", nn.ReLU), ("GELU", nn.GELU), ("LeakyReLU", nn.LeakyReLU)])
def test_activation_by_name_in_any_case(name: str, cls: type[nn.Module]) -> None:
    assert type(activation(name)) is cls


@pytest.mark.parametrize("name", torch.nn.modules.activation.__all__)
def test_every_activation_of_torch_works_anywhere_in_a_network_or_is_refused(name: str) -> None:
    try:
        layer = activation(name)
    except ValueError:
        assert name in {"GLU", "LogSoftmax", "MultiheadAttention", "Softmax", "Softmax2d", "Softmin", "Threshold"}
        return
    assert type(layer).__name__ == name
    for dims in DIMS:
        assert layer(samples(dims)).shape == samples(dims).shape


def test_unknown_activation_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"activation must be one of torch.nn's .*, got 'rely'; did you mean relu\?"):
        activation("rely")


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize(("kind", "summary"), [("max", torch.amax), ("avg", torch.mean)])
def test_pool_summarises_windows(dims: int, kind: str, summary: Callable[..., torch.Tensor]) -> None:
    inputs = samples(dims, size=4)
    corner = inputs[(slice(None), slice(None), *[slice(0, 2)] * dims)]
    outputs = pool(dims, kind)(inputs)
    assert outputs.shape == (3, 2, *[2] * dims)
    torch.testing.assert_close(outputs.flatten(2)[:, :, 0], summary(corner.flatten(2), dim=2))


def test_pool_windows_may_overlap() -> None:
    assert pool(2, "max", kernel_size=3, stride=2)(torch.zeros(1, 1, 28, 28)).shape == (1, 1, 13, 13)


def test_unknown_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="pool must be max or avg, got 'min'"):
        pool(2, "min")


@pytest.mark.parametrize("dims", DIMS)
def test_global_avg_pool_is_the_mean_over_space(dims: int) -> None:
    inputs = samples(dims)
    outputs = global_avg_pool(dims)(inputs)
    assert outputs.shape == (3, 2, *[1] * dims)
    torch.testing.assert_close(outputs.flatten(1), inputs.flatten(2).mean(2))


def test_counts_below_one_are_named() -> None:
    at_least_one(hidden_units=1)
    with pytest.raises(ValueError, match="hidden_units must be at least 1, got 0"):
        at_least_one(num_blocks=2, hidden_units=0)
