"""Data sets of texts with labels."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cnnlab.data.datamodule import DataModule
from cnnlab.data.samples import LabelledSamples, TensorSamples
from cnnlab.data.splits import Splits
from cnnlab.data.vocabulary import PADDING, UNKNOWN, as_numbers, numbers_of, vocabulary_of
from cnnlab.errors import UserError


@dataclass(frozen=True)
class Texts(LabelledSamples):
    """Texts with their labels.

    Attributes:
        words: of every text.
        labels: (N,) int64, 0 to num_classes - 1.
    """

    words: Sequence[Sequence[str]]
    labels: Tensor

    def take(self, positions: Tensor | slice) -> "Texts":
        chosen = torch.arange(len(self.labels))[positions].tolist()
        return Texts([self.words[position] for position in chosen], self.labels[positions])


@dataclass(frozen=True)
class TextSplits:
    """A data set of texts. Its attributes are those of Splits."""

    dataset: str
    class_names: tuple[str, ...]
    training: Texts
    validation: Texts
    test: Texts
    checksums: dict[str, str]


class TextDataModule(DataModule):
    """Texts as numbers of words, (N, 1, length) int32; a data set is a subclass with a `read_texts` method.

    0 is padding behind the end of a text, 1 is any word that the vocabulary does not hold. The vocabulary is made of
    the training texts that are used, and of no others. Numbers are not normalised: mean 0 and deviation 1 pass them on
    as float32, which holds them exactly.

    After `setup` the attribute `vocabulary` holds the words in the order of their numbers, the two marks included.

    Args:
        length: words of a text that are used, from its beginning; None: those of the longest training text.
        min_count: how often a word must occur in the training texts to be in the vocabulary.
        **loading: see DataModule. With a fold, the vocabulary is made of the training texts that are left.
    """

    kind = "text"
    has_own_folds = True

    def __init__(
        self,
        length: int | None = None,
        min_count: int = 2,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        for name, value in {"length": length, "min_count": min_count}.items():
            if value is not None and value < 1:
                raise UserError(f"{name} must be at least 1, got {value}")
        self.length = length
        self.min_count = min_count
        self._num_cut = 0

    @abstractmethod
    def read_texts(self) -> TextSplits:
        """Find the data set and split off validation and test; with a fold, of which it is one."""

    def read(self) -> Splits:
        texts = self.read_texts()
        trained_on = texts.training.first(self.train_size).words
        self.vocabulary = vocabulary_of(trained_on, self.min_count)
        length = self.length or max(map(len, trained_on))
        self._num_cut = sum(len(words) > length for words in trained_on)
        numbers = numbers_of(self.vocabulary)

        def numbered(samples: Texts) -> TensorSamples:
            return TensorSamples(as_numbers(samples.words, numbers, length), samples.labels)

        return Splits(
            dataset=texts.dataset,
            class_names=texts.class_names,
            training=numbered(texts.training),
            validation=numbered(texts.validation),
            test=lambda: numbered(texts.test),
            checksums=texts.checksums,
        )

    def statistics(self, inputs: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return (0.0,), (1.0,)

    def description(self) -> dict[str, Any]:
        assert self.vocabulary is not None
        return super().description() | {"vocabulary": list(self.vocabulary)}

    def facts(self) -> list[str]:
        """As for all data; also the size of the vocabulary, and how many words it lacks."""
        assert self.vocabulary is not None
        assert isinstance(self.validation, TensorSamples)  # texts are always read whole
        validation = self.validation.inputs
        unknown = int((validation == UNKNOWN).sum()) / max(1, int((validation != PADDING).sum()))
        words = f"{len(self.vocabulary) - 2:,} words occur at least {self.min_count} times in the training texts"
        cut = f"; {self._num_cut:,} of these were cut" if self._num_cut else ""
        return [*super().facts(), f"{words}{cut}; {unknown:.1%} of the words in validation are unknown"]
