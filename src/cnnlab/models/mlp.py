"""Multilayer perceptron."""

from collections.abc import Sequence

from torch import Tensor, nn

from cnnlab.blocks.head import flatten_and_classify
from cnnlab.blocks.layers import at_least_one


class MLP(nn.Module):
    """Flatten, num_layers hidden layers of hidden_units, linear: (N, *input_shape) to logits (N, num_classes)."""

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        hidden_units: int = 256,
        num_layers: int = 2,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        at_least_one(hidden_units=hidden_units, num_layers=num_layers)
        sizes = [hidden_units] * num_layers
        self.classifier = flatten_and_classify(nn.Identity(), input_shape, sizes, num_classes, activation, dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(x)
        return logits
