"""LeNet-5 (LeCun et al., Gradient-based learning applied to document recognition, 1998, section II-B)."""

from collections.abc import Sequence

from torch import Tensor, nn

from cnnlab.blocks.conv_block import conv_norm_act
from cnnlab.blocks.head import flatten_and_classify
from cnnlab.blocks.layers import pool as pool_layer


class LeNet5(nn.Module):
    """(N, *input_shape) to logits (N, num_classes); 61,706 parameters for one 28x28 channel and ten classes.

    The paper's layer sizes with full connections in C3 and a linear output in place of the radial basis functions.
    Padding 2 in C1 makes the paper's 32x32 out of MNIST's 28x28.

        C1  6 @ 28x28, kernel 5    S2  6 @ 14x14
        C3 16 @ 10x10, kernel 5    S4 16 @  5x5
        C5 120    F6 84    output num_classes
    """

    def __init__(
        self, input_shape: Sequence[int], num_classes: int, activation: str = "tanh", pool: str = "avg"
    ) -> None:
        super().__init__()
        dims = len(input_shape) - 1
        self.features = nn.Sequential(
            conv_norm_act(dims, input_shape[0], 6, kernel_size=5, padding=2, act=activation),
            pool_layer(dims, pool),
            conv_norm_act(dims, 6, 16, kernel_size=5, padding="valid", act=activation),
            pool_layer(dims, pool),
        )
        self.classifier = flatten_and_classify(self.features, input_shape, [120, 84], num_classes, activation)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits
