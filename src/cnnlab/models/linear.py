"""Multinomial logistic regression."""

import math
from collections.abc import Sequence

from torch import Tensor, nn


class Linear(nn.Module):
    """Flatten and one linear layer: (N, *input_shape) to logits (N, num_classes)."""

    def __init__(self, input_shape: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), num_classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(x)
        return logits
