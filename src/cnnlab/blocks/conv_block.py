"""The conv, norm, activation sequence that VGG-like networks repeat."""

from torch import nn

from cnnlab.blocks.layers import Padding, activation, conv, norm


def conv_norm_act(
    num_spatial_dims: int,
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    padding: Padding = "same",
    norm_kind: str = "none",
    act: str = "relu",
) -> nn.Sequential:
    """(N, in_channels, *S) to (N, out_channels, *S'). The conv has no bias where a norm follows and would undo it."""
    normalise = norm(num_spatial_dims, norm_kind, out_channels)
    layers = [
        conv(num_spatial_dims, in_channels, out_channels, kernel_size, stride, padding, bias=normalise is None),
        normalise,
        activation(act),
    ]
    return nn.Sequential(*[layer for layer in layers if layer is not None])
