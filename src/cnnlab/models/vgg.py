"""VGG (Simonyan & Zisserman, Very deep convolutional networks for large-scale image recognition, 2015, table 1)."""

from collections.abc import Sequence

from torch import Tensor, nn

from cnnlab.blocks.conv_block import conv_norm_act
from cnnlab.blocks.head import flatten_and_classify
from cnnlab.blocks.layers import at_least_one, pool


class VGG(nn.Module):
    """Blocks of 3-wide convs, a max-pool after each, one hidden layer: (N, *input_shape) to logits (N, num_classes).

    Args:
        widths: one list per block, one number of channels per conv. VGG-16 is
            [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]].
        norm: none as in the paper, batch as in today's variants, or group.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        widths: Sequence[Sequence[int]] = ((8, 8), (20, 20), (40, 40)),
        hidden_units: int = 64,
        norm: str = "batch",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        at_least_one(hidden_units=hidden_units)
        dims = len(input_shape) - 1
        channels = input_shape[0]
        layers: list[nn.Module] = []
        for block in widths:
            for width in block:
                at_least_one(widths=width)
                layers.append(conv_norm_act(dims, channels, width, norm_kind=norm))
                channels = width
            layers.append(pool(dims, "max"))
        self.features = nn.Sequential(*layers)
        self.classifier = flatten_and_classify(self.features, input_shape, [hidden_units], num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits
