"""Labelled samples of which parts can be taken, and those of them that are in memory."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from cnnlab.data.stratified import stratified_order
from cnnlab.errors import UserError


class LabelledSamples(ABC):
    """Samples whose labels are in memory, wherever the samples are."""

    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def take(self, positions: Tensor | slice) -> Self:
        """Return the samples at these positions. Those of a slice are not copied."""

    def split(self, size: int) -> tuple[Self, Self]:
        """Return a stratified part of `size` samples and the rest, both in an order whose prefixes are stratified."""
        order = stratified_order(self.labels)
        return self.take(order[:size]), self.take(order[size:])

    def fold(self, number: int, num_folds: int) -> tuple[Self, Self]:
        """Return one of `num_folds` stratified parts, counted from 0, and all others together.

        The parts differ in size by one sample at most. As in `split`, the prefixes of the others are stratified.

        Raises:
            UserError: if there are not enough samples for so many parts.
        """
        if len(self) < num_folds:
            raise UserError(f"num_folds must be at most {len(self)}, the number of samples, got {num_folds}")
        order = stratified_order(self.labels)
        start, stop = (len(order) * n // num_folds for n in (number, number + 1))
        others = torch.cat([order[:start], order[stop:]])
        return self.take(order[start:stop]), self.take(others[stratified_order(self.labels[others])])

    def first(self, size: int | None) -> Self:
        """Return the first samples, all of them for None."""
        return self if size is None else self.take(slice(size))

    def every(self, step: int, first: int) -> Self:
        """Return every `step`-th sample from the one numbered `first` on."""
        return self.take(slice(first, None, step))


@dataclass(frozen=True)
class TensorSamples(LabelledSamples):
    """Samples in memory.

    Attributes:
        inputs: (N, C, *spatial), uint8 for images, float32 for anything else.
        labels: (N,) int64, 0 to num_classes - 1; for values (N, num_values) float32.
    """

    inputs: Tensor
    labels: Tensor

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.inputs[index], self.labels[index]

    def take(self, positions: Tensor | slice) -> "TensorSamples":
        return TensorSamples(self.inputs[positions], self.labels[positions])
