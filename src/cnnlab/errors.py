"""Errors for the user: one line that says what was expected, what was found and what to do."""

import difflib
import signal
from collections.abc import Iterable, Sequence

# Characters that are never printed as they are: the control characters of ASCII and Latin-1, those that reverse the
# direction of writing, and the surrogates that Python uses for bytes that are not valid text.
CONTROLS = {
    code: ascii(chr(code))[1:-1]
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),
    )
}


class UserError(Exception):
    """A mistake in the input, not in the program: printed as one line, without a stack trace.

    The search engine, which does not know this class, recognises it by the attribute `in_one_line`.
    """

    in_one_line = True


class Infeasible(UserError):
    """Settings from which no network can be built. A search skips such a point and does not count it as a failure."""

    infeasible = True


class DataMissing(UserError):
    """The data are not there. A search does not blame the trial: it is run again once another one finds them."""

    external = True


class ProcessLost(UserError):
    """Another process of the run has ended. A search does not blame the trial, as with missing data."""

    external = True


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP. Not an Exception, so that neither Hydra nor Lightning takes it for a failed job.

    Args:
        signum: the signal; the process ends with exit status 128 + signum.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}")
        self.signum = signum
        self.advice = ""

    def __str__(self) -> str:
        names = {
            signal.SIGINT: "Ctrl-C",
            signal.SIGTERM: "SIGTERM",
            1: "SIGHUP (the terminal was closed)",
            13: "SIGPIPE (nobody reads what it prints)",
        }
        name = names.get(self.signum, f"signal {self.signum}")
        return f"stopped by {name}{'; ' + self.advice if self.advice else ''}"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return "; did you mean X?" with the most similar of the choices, or "" if none is similar."""
    found = nearest(word, choices)
    return f"; did you mean {found}?" if found else ""


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that was probably meant: other case or sequence, the initials (lr), or else a similar word."""
    choices = list(choices)
    same = [choice for choice in choices if choice.casefold() == word.casefold()]
    swapped = [choice for choice in choices if sorted(choice) == sorted(word)]  # same letters, other sequence
    initials = [choice for choice in choices if choice == _initials(word) or word == _initials(choice)]
    found = same or swapped or initials or difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    return found[0] if found else None


def _initials(words: str) -> str:
    parts = words.split("_")
    return "".join(part[:1] for part in parts) if len(parts) > 1 else ""


def printable(text: str) -> str:
    """Replace control characters and invalid bytes by escapes, so that every terminal and file accepts the text."""
    return text.translate(CONTROLS)


def joined_errors(errors: Sequence[UserError], number: int = 5) -> str:
    """Return the first errors on one line, and how many more there are."""
    messages = "; ".join(map(str, errors[:number]))
    return f"{messages}; and {len(errors) - number} more" if len(errors) > number else messages
