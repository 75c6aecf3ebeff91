"""Word dropout: the augmentation of texts."""

import torch
from torch import Generator, Tensor

from cnnlab.data.vocabulary import PADDING, UNKNOWN


class WordDropout:
    """Replace each word of a text by the unknown word, with the same probability and independently.

    The network must not rely on single words then, and learns what to make of an unknown one (Iyyer et al., 2015, drop
    words for the first of these reasons).

    Args:
        probability: of each word.
    """

    kinds = ("text",)

    def __init__(self, probability: float = 0.1) -> None:
        if not 0 <= probability < 1:
            raise ValueError(f"probability must be at least 0 and less than 1, got {probability}")
        self.probability = probability

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        dropped = torch.rand(batch.shape, generator=generator, device=batch.device) < self.probability
        return batch.masked_fill(dropped & (batch != PADDING), UNKNOWN)
