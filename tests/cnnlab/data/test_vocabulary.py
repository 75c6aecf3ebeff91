"""Texts become words, words become numbers."""

import unicodedata

import pytest
import torch

from cnnlab.data.vocabulary import PADDING, UNKNOWN, as_numbers, numbers_of, vocabulary_of, words_of
from cnnlab.errors import UserError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's GREAT!", "it's great !"),
        ("a well-made film, 3.5 stars...", "a well-made film , 3.5 stars ..."),
        ("'quoted' (or so) -- no?", "' quoted ' ( or so ) -- no ?"),
        ("already tokenised , as rt-polarity is .", "already tokenised , as rt-polarity is ."),
        ("the cafe\u0301 d’or", "the café d’or"),
        ("हिन्दी फ़िल्म", "हिन्दी फ़िल्म"),
        (" \n\t", ""),
        ("<padding>", "< padding >"),
    ],
)
def test_words_are_lower_case_and_punctuation_stands_alone(text: str, words: str) -> None:
    assert " ".join(words_of(text)) == unicodedata.normalize("NFC", words)


def test_the_vocabulary_is_sorted_by_frequency_and_ties_by_letters() -> None:
    texts = [("b", "a", "c"), ("c", "b", "d"), ("c",)]
    assert vocabulary_of(texts, min_count=1) == ("<padding>", "<unknown>", "c", "b", "a", "d")
    assert vocabulary_of(texts, min_count=2) == ("<padding>", "<unknown>", "c", "b")
    with pytest.raises(UserError, match="min_count must be at most 3, .* got 4"):
        vocabulary_of(texts, min_count=4)


def test_numbers_end_with_padding_and_long_texts_are_cut() -> None:
    vocabulary = ("<padding>", "<unknown>", "good", "film")
    numbers = as_numbers([("good", "new", "film"), ("film",), tuple("abcde")], numbers_of(vocabulary), 4)
    assert numbers.dtype == torch.int32
    assert numbers.tolist() == [
        [[2, UNKNOWN, 3, PADDING]],
        [[3, PADDING, PADDING, PADDING]],
        [[UNKNOWN] * 4],
    ]
