"""The basic residual block (He et al., 2016, section 3.3 and figure 2)."""

import torch
from torch import Tensor, nn

from cnnlab.blocks.conv_block import conv_norm_act
from cnnlab.blocks.layers import conv, norm


class BasicBlock(nn.Module):
    """relu(F(x) + shortcut(x)), F being two 3-wide convs with batch norm.

    (N, in_channels, *S) to (N, out_channels, *S / stride).
    The shortcut is the identity where shapes agree, else a 1-wide conv with batch norm (option B of the paper).
    """

    def __init__(self, num_spatial_dims: int, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()

        def conv_norm(in_channels: int, kernel_size: int, stride: int) -> list[nn.Module]:
            padding = (kernel_size - 1) // 2
            normalise = norm(num_spatial_dims, "batch", out_channels)
            assert normalise is not None
            return [
                conv(num_spatial_dims, in_channels, out_channels, kernel_size, stride, padding, bias=False),
                normalise,
            ]

        self.residual = nn.Sequential(
            conv_norm_act(num_spatial_dims, in_channels, out_channels, 3, stride, padding=1, norm_kind="batch"),
            *conv_norm(out_channels, kernel_size=3, stride=1),
        )
        same_shape = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same_shape else nn.Sequential(*conv_norm(in_channels, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.residual(x) + self.shortcut(x))
