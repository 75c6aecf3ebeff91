"""A CNN of depthwise separable convs (Sifre, 2014; Howard et al., MobileNets, 2017), for below 1,000 parameters."""

from collections.abc import Sequence

from torch import Tensor, nn

from cnnlab.blocks.conv_block import conv_norm_act
from cnnlab.blocks.layers import Padding, at_least_one, conv, global_avg_pool, pool
from cnnlab.blocks.shapes import output_shape


class SeparableCNN(nn.Module):
    """Stem, separable convs, global average pool, linear: (N, *input_shape) to logits (N, num_classes).

    A separable conv is a depthwise conv, which filters every channel by itself, and a pointwise conv, 1 wide, which
    mixes the channels; batch norm and an activation follow. From 10 to 10 channels it has 210 parameters where a 3-wide
    conv has 920. As in Sifre's thesis nothing stands between the two; MobileNets have batch norm and ReLU there, too.

    Args:
        widths: one list per stage, one number of channels per conv, a max-pool between the stages. The first conv is
            the stem, a conv as usual.
        kernel_size: of the depthwise convs.
        stem_kernel_size, stem_stride: of the stem.
        padding: of the depthwise convs: valid lets a map shrink by kernel_size - 1 each, which widens what a channel
            sees at no parameter; same keeps its size. The stem keeps the size at stem_stride=1.
        activation: an activation of torch.nn by its name.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        widths: Sequence[Sequence[int]] = ((8,), (8, 8, 8, 8, 11)),
        kernel_size: int = 3,
        stem_kernel_size: int = 3,
        stem_stride: int = 1,
        padding: Padding = "valid",
        activation: str = "relu",
    ) -> None:
        super().__init__()
        at_least_one(stem_stride=stem_stride, **{"number of widths": sum(map(len, widths))})
        dims = len(input_shape) - 1
        channels = input_shape[0]
        layers: list[nn.Module] = []
        for stage in widths:
            if layers:
                layers.append(pool(dims, "max"))
            for width in stage:
                at_least_one(widths=width)
                if not layers:
                    stem_padding = "same" if stem_stride == 1 else (stem_kernel_size - 1) // 2
                    block = conv_norm_act(
                        dims, channels, width, stem_kernel_size, stem_stride, stem_padding, "batch", activation
                    )
                else:
                    block = nn.Sequential(
                        conv(dims, channels, channels, kernel_size, padding=padding, bias=False, groups=channels),
                        *conv_norm_act(dims, channels, width, 1, norm_kind="batch", act=activation),
                    )
                layers.append(block)
                channels = width
        self.features = nn.Sequential(*layers)
        output_shape(self.features, input_shape)  # names the layer that cannot take its input
        self.classifier = nn.Sequential(global_avg_pool(dims), nn.Flatten(), nn.Linear(channels, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits
