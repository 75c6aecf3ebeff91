"""AlexNet (Krizhevsky, Sutskever & Hinton, 2012, section 3.5) scaled to small images."""

from collections.abc import Sequence

from torch import Tensor, nn

from cnnlab.blocks.conv_block import conv_norm_act
from cnnlab.blocks.head import flatten_and_classify
from cnnlab.blocks.layers import at_least_one, pool


class AlexNet(nn.Module):
    """Five convs, overlapping 3-wide max-pools after the 1st, 2nd and 5th, two hidden layers with dropout.

    (N, *input_shape) to logits (N, num_classes). The paper's 11x11 stride-4 stem would reduce 28x28 to nothing,
    so the first conv is 3x3 with stride 1; local response normalisation is left out.

    Args:
        widths: channels of the five convs (the paper's 96, 256, 384, 384, 256).
        hidden_units: size of both hidden layers (the paper's 4,096).
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        widths: Sequence[int] = (12, 28, 44, 44, 28),
        hidden_units: int = 128,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if len(widths) != 5:
            raise ValueError(f"widths must hold the channels of AlexNet's five convs, got {list(widths)}")
        at_least_one(hidden_units=hidden_units, **{f"widths[{i}]": width for i, width in enumerate(widths)})
        dims = len(input_shape) - 1
        conv1, conv2, conv3, conv4, conv5 = widths
        self.features = nn.Sequential(
            conv_norm_act(dims, input_shape[0], conv1, kernel_size=3),
            pool(dims, "max", kernel_size=3, stride=2),
            conv_norm_act(dims, conv1, conv2, kernel_size=5),
            pool(dims, "max", kernel_size=3, stride=2),
            conv_norm_act(dims, conv2, conv3, kernel_size=3),
            conv_norm_act(dims, conv3, conv4, kernel_size=3),
            conv_norm_act(dims, conv4, conv5, kernel_size=3),
            pool(dims, "max", kernel_size=3, stride=2),
        )
        hidden = [hidden_units, hidden_units]
        self.classifier = flatten_and_classify(self.features, input_shape, hidden, num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits
