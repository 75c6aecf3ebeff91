"""Errors that the user can mend: one line says what was expected, what came and what to do."""

import difflib
from collections.abc import Iterable

_LONGEST = 500  # characters


class SearchError(Exception):
    """A mistake in the input of a search, not in the program: it is shown as one line, without a stack trace."""

    in_one_line = True


def is_told_in_one_line(error: BaseException) -> bool:
    """Whether the user needs only the message of this error.

    An app marks its own classes with the attribute `in_one_line = True`, so that the engine need not know them.
    """
    return getattr(error, "in_one_line", False) is True


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return "; did you mean X?" for the nearest of the choices, or "" where none is near."""
    choices = list(choices)
    swapped = [choice for choice in choices if sorted(choice) == sorted(word)]  # letters in another order
    same = [choice for choice in choices if choice.casefold() == word.casefold()]
    near = same or swapped or difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def first_line(error: BaseException) -> str:
    """The first line of the message that is not blank, or the name of the error's class."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return shortened(line)


def on_one_line(error: BaseException) -> str:
    """The whole message with its line breaks turned into spaces."""
    return shortened(" ".join(str(error).split()))


def shortened(text: str) -> str:
    """The text, or its beginning where it is longer than anybody reads, as an error with a whole tensor in it."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 40]} … ({len(text):,} characters)"
