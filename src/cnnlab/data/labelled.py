"""What a data set hands to the data module."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from cnnlab.data.stratified import stratified_order


@dataclass(frozen=True)
class Labelled:
    """Samples with their labels.

    Attributes:
        inputs: (N, C, *spatial), uint8 for images, float32 for anything else.
        labels: (N,) int64, 0 to num_classes - 1.
    """

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def split(self, size: int) -> tuple["Labelled", "Labelled"]:
        """Return a stratified part of `size` samples and the rest, both in an order whose prefixes are stratified."""
        order = stratified_order(self.labels)
        return self._take(order[:size]), self._take(order[size:])

    def first(self, size: int | None) -> "Labelled":
        return self if size is None else Labelled(self.inputs[:size], self.labels[:size])

    def _take(self, indices: Tensor) -> "Labelled":
        return Labelled(self.inputs[indices], self.labels[indices])


@dataclass(frozen=True)
class Splits:
    """A data set ready for training.

    Attributes:
        dataset: the name that every result carries; mnist-5k is not mnist.
        training, validation: in an order whose prefixes are stratified.
        test: reads the test split, which nothing but the test after training asks for.
        checksums: file name to md5.
    """

    dataset: str
    class_names: tuple[str, ...]
    training: Labelled
    validation: Labelled
    test: Callable[[], Labelled]
    checksums: dict[str, str]
