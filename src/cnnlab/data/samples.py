"""Samples in memory, with their labels."""

from dataclasses import dataclass

from torch import Tensor

from cnnlab.data.stratified import stratified_order


@dataclass(frozen=True)
class TensorSamples:
    """Samples with their labels.

    Attributes:
        inputs: (N, C, *spatial), uint8 for images, float32 for anything else.
        labels: (N,) int64, 0 to num_classes - 1; for values (N, num_values) float32.
    """

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.inputs[index], self.labels[index]

    def split(self, size: int) -> tuple["TensorSamples", "TensorSamples"]:
        """Return a stratified part of `size` samples and the rest, both in an order whose prefixes are stratified."""
        order = stratified_order(self.labels)
        return self._take(order[:size]), self._take(order[size:])

    def first(self, size: int | None) -> "TensorSamples":
        return self if size is None else TensorSamples(self.inputs[:size], self.labels[:size])

    def every(self, step: int, first: int) -> "TensorSamples":
        """Every `step`-th sample from the one numbered `first` on; nothing is copied."""
        return TensorSamples(self.inputs[first::step], self.labels[first::step])

    def _take(self, indices: Tensor) -> "TensorSamples":
        return TensorSamples(self.inputs[indices], self.labels[indices])
