"""Texts as numbers: their words, the vocabulary of a training split, and rows of word numbers of one length."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from cnnlab.errors import UserError

# What stands for no word, behind the end of a text, and for a word that the vocabulary does not hold.
PADDING, UNKNOWN = 0, 1
_MARKS = ("<padding>", "<unknown>")

_PUNCTUATION = re.escape(string.punctuation + "…“”‘’„«»‹›–—¿¡。、！？")
_LETTERS = rf"[^\s{_PUNCTUATION}]+"
_WORD = re.compile(rf"{_LETTERS}(?:['’.\-]{_LETTERS})*|\.\.\.|--|[{_PUNCTUATION}]")


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text in lower case: "It's great!" gives it's, great, !.

    A word is a run of letters, digits and other signs, with apostrophes, dots and hyphens only inside of it (it's, 3.5,
    well-made). Every other mark of punctuation is a word of its own, and so are "..." and "--". A language that is
    written without spaces has to be cut into words before.
    """
    return tuple(_WORD.findall(unicodedata.normalize("NFC", text).lower()))


def vocabulary_of(texts: Iterable[Sequence[str]], min_count: int) -> tuple[str, ...]:
    """The words in the order of their numbers: two marks for padding and unknown words, then the most frequent first.

    Words that are equally frequent are sorted by their letters. The marks cannot be words of a text, for words_of cuts
    them at their brackets.

    Args:
        texts: the words of every training text; words of other splits would tell of what the network must not know.
        min_count: a word that occurs less often is left out.

    Raises:
        UserError: if no word is left.
    """
    counts = Counter(chain.from_iterable(texts))
    frequent = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
    if not frequent:
        most = max(counts.values(), default=0)
        raise UserError(f"min_count must be at most {most}, how often the most frequent word occurs, got {min_count}")
    return (*_MARKS, *frequent)


def numbers_of(vocabulary: Sequence[str]) -> dict[str, int]:
    """The number of every word."""
    return {word: number for number, word in enumerate(vocabulary)}


def as_numbers(texts: Sequence[Sequence[str]], numbers: Mapping[str, int], length: int) -> Tensor:
    """(N, 1, length) int32: the numbers of the first `length` words of every text, then padding."""
    rows = np.full((len(texts), length), PADDING, dtype=np.int32)
    for row, words in zip(rows, texts, strict=True):
        known = [numbers.get(word, UNKNOWN) for word in words[:length]]
        row[: len(known)] = known
    return torch.from_numpy(rows).unsqueeze(1)
