"""TinyVGG, the network of the CNN Explainer (Wang et al., 2020, https://poloclub.github.io/cnn-explainer/)."""

from collections.abc import Sequence

from torch import Tensor, nn

from cnnlab.blocks.conv_block import conv_norm_act
from cnnlab.blocks.head import flatten_and_classify
from cnnlab.blocks.layers import Padding, at_least_one, pool as pool_layer


class TinyVGG(nn.Module):
    """num_blocks of [convs_per_block x (conv, norm, activation), pool 2], flatten, linear.

    (N, *input_shape) to logits (N, num_classes). With the defaults 28x28 becomes 14x14, then 7x7, and the last
    layer has 10 * 7 * 7 = 490 inputs; 7,740 parameters for one channel and ten classes.

    Args:
        hidden_units: channels of every conv.
        padding: "same" (stride 1 only), "valid", an int, or one int per spatial dim.

    Raises:
        ValueError: if the kernel is larger than the data, or a layer leaves nothing of its input; both with the sizes.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        hidden_units: int = 10,
        num_blocks: int = 2,
        convs_per_block: int = 2,
        kernel_size: int = 3,
        stride: int = 1,
        padding: Padding = "same",
        pool: str = "max",
        norm: str = "none",
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        at_least_one(hidden_units=hidden_units, num_blocks=num_blocks, convs_per_block=convs_per_block)
        num_spatial_dims = len(input_shape) - 1
        if kernel_size > min(input_shape[1:], default=kernel_size):
            sizes = "x".join(map(str, input_shape[1:]))
            raise ValueError(f"kernel_size={kernel_size} is larger than the data ({sizes})")
        channels = input_shape[0]
        blocks = []
        for _ in range(num_blocks):
            convs = []
            for _ in range(convs_per_block):
                convs.append(
                    conv_norm_act(
                        num_spatial_dims, channels, hidden_units, kernel_size, stride, padding, norm, activation
                    )
                )
                channels = hidden_units
            blocks.append(nn.Sequential(*convs, pool_layer(num_spatial_dims, pool)))
        self.features = nn.Sequential(*blocks)
        self.classifier = flatten_and_classify(self.features, input_shape, [], num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits
