"""TextCNN (Kim, 2014, https://aclanthology.org/D14-1181/), with word vectors learnt from scratch (CNN-rand)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cnnlab.blocks.conv_block import conv_norm_act
from cnnlab.blocks.head import flatten_and_classify
from cnnlab.blocks.layers import at_least_one, global_max_pool

_PADDING = 0
_LARGEST_WEIGHT = 0.25  # of a word vector at the start, as in the paper


class TextCNN(nn.Module):
    """Word vectors, convs of several widths side by side, maximum over time, dropout, linear.

    Numbers of words (N, 1, length) to logits (N, num_classes). Each conv also begins before the text and ends behind
    it, so that the first word can be at any place in a window. With the defaults there are 3 x 100 = 300 features.

    Args:
        vocabulary_size: how many numbers there are; 0 is padding, whose vector stays zero.
        embedding_size: of a word's vector.
        kernel_sizes: words that each conv sees at once.
        num_filters: channels of each conv.
        dropout: the probability of dropping a feature.
        embedding_dropout: the probability of dropping a number of a word's vector.

    Raises:
        ValueError: if a conv is wider than the text, or the data are not one channel of numbers.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        vocabulary_size: int,
        embedding_size: int = 128,
        kernel_sizes: Sequence[int] = (3, 4, 5),
        num_filters: int = 100,
        dropout: float = 0.5,
        embedding_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        at_least_one(
            embedding_size=embedding_size, num_filters=num_filters, **{"number of kernel_sizes": len(kernel_sizes)}
        )
        if len(input_shape) != 2 or input_shape[0] != 1:
            raise ValueError(
                f"TextCNN takes texts as numbers of words (1, length), got data of shape {tuple(input_shape)}"
            )
        length = input_shape[1]
        for kernel_size in kernel_sizes:
            at_least_one(kernel_sizes=kernel_size)
            if kernel_size > length:
                raise ValueError(f"kernel_sizes must be at most {length}, the words of a text, got {kernel_size}")
        self.embedding = nn.Embedding(vocabulary_size, embedding_size, padding_idx=_PADDING)
        with torch.no_grad():
            self.embedding.weight.uniform_(-_LARGEST_WEIGHT, _LARGEST_WEIGHT)
            self.embedding.weight[_PADDING] = 0
        self.embedding_dropout = nn.Dropout(embedding_dropout)
        self.features = nn.ModuleList(
            nn.Sequential(
                conv_norm_act(1, embedding_size, num_filters, kernel_size, padding=kernel_size - 1), global_max_pool(1)
            )
            for kernel_size in kernel_sizes
        )
        num_features = num_filters * len(kernel_sizes)
        self.classifier = flatten_and_classify(nn.Identity(), (num_features, 1), [], num_classes, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        vectors = self.embedding_dropout(self.embedding(x[:, 0].long())).transpose(1, 2)
        logits: Tensor = self.classifier(torch.cat([features(vectors) for features in self.features], dim=1))
        return logits
