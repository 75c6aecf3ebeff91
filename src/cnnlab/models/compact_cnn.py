"""A small CNN that pools before it normalises, for a short training time on a CPU."""

from collections.abc import Sequence

from torch import Tensor, nn

from cnnlab.blocks.head import flatten_and_classify
from cnnlab.blocks.layers import Padding, activation, at_least_one, conv, norm, pool


class CompactCNN(nn.Module):
    """Stages of conv, max-pool 2, batch norm, ReLU, then a linear layer: (N, *input_shape) to logits (N, num_classes).

    The last stage does not pool. After the pooling norm and activation have a quarter of an image's positions to work
    on. With the defaults 28x28 becomes 14x14, then 7x7, and the linear layer has 32 * 7 * 7 = 1,568 inputs; 24,658
    parameters for one channel and ten classes.

    Args:
        widths: channels of each stage's conv.
        stem_kernel_size: of the first conv, whose few input channels make a large kernel cheap; the others are 3 wide.
        padding: of the convs: same, or valid, which leaves out the borders, so that there are fewer positions to work
            on: 12x12, 5x5 and 3x3 instead of 14x14, 7x7 and 7x7.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        widths: Sequence[int] = (8, 24, 32),
        stem_kernel_size: int = 5,
        padding: Padding = "same",
    ) -> None:
        super().__init__()
        at_least_one(stem_kernel_size=stem_kernel_size, **{"number of widths": len(widths)})
        dims = len(input_shape) - 1
        channels = input_shape[0]
        stages = []
        for stage, width in enumerate(widths):
            at_least_one(widths=width)
            layers = [
                conv(dims, channels, width, stem_kernel_size if stage == 0 else 3, padding=padding, bias=False),
                pool(dims, "max") if stage < len(widths) - 1 else None,
                norm(dims, "batch", width),
                activation("relu"),
            ]
            stages.append(nn.Sequential(*[layer for layer in layers if layer is not None]))
            channels = width
        self.features = nn.Sequential(*stages)
        self.classifier = flatten_and_classify(self.features, input_shape, [], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits
