"""The layers between a feature map and the logits."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from cnnlab.blocks.layers import activation
from cnnlab.blocks.shapes import output_shape


def flatten_and_classify(
    features: nn.Module,
    input_shape: Sequence[int],
    hidden_units: Sequence[int],
    num_classes: int,
    act: str = "relu",
    dropout: float = 0.0,
) -> nn.Sequential:
    """Flatten, hidden fully connected layers with dropout before each linear layer, then logits.

    The first linear layer's number of inputs follows from the features and the data: 10 channels of 7x7 give 490.

    Args:
        features: maps (N, *input_shape) to (N, C, *S).
        hidden_units: one size per hidden layer; empty for a single linear layer.

    Raises:
        ValueError: if the features cannot take the input shape, naming the layer.
    """
    sizes = [math.prod(output_shape(features, input_shape)), *hidden_units]
    layers: list[nn.Module] = [nn.Flatten()]
    for num_inputs, num_outputs in pairwise(sizes):
        layers += [*_dropout(dropout), nn.Linear(num_inputs, num_outputs), activation(act)]
    return nn.Sequential(*layers, *_dropout(dropout), nn.Linear(sizes[-1], num_classes))


def _dropout(probability: float) -> list[nn.Module]:
    if not 0 <= probability < 1:
        raise ValueError(f"dropout must be at least 0 and less than 1, got {probability}")
    return [nn.Dropout(probability)] if probability > 0 else []
