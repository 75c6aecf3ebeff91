"""The splits of a data set, as it passes them to the data module."""

from collections.abc import Callable
from dataclasses import dataclass

from cnnlab.data.lazy_samples import LazySamples
from cnnlab.data.samples import TensorSamples

Samples = TensorSamples | LazySamples


@dataclass(frozen=True)
class Splits:
    """A data set ready for training.

    Attributes:
        dataset: the name that every result carries; mnist-5k is not mnist.
        training, validation: in an order whose prefixes are stratified.
        test: the test split, or a function that reads it, which is called only when the test split is needed.
        class_names: in the order of the labels; for values the names of the values.
        checksums: the checksum of each file, by which a run or a study recognises its data.
    """

    dataset: str
    class_names: tuple[str, ...]
    training: Samples
    validation: Samples
    test: Samples | Callable[[], Samples]
    checksums: dict[str, str]
