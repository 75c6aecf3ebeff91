"""What the user is told when something is wrong: one line that says what was expected, what came and what to do."""

import difflib
import signal
from collections.abc import Iterable, Sequence

# Characters that are never shown as they are: the controls of ASCII and Latin-1, those that turn the direction of
# writing, and the surrogates by which Python stands for bytes that are no text.
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
    """Settings that no network can be built from. A search drops such a point instead of counting a failure."""

    infeasible = True


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
            1: "SIGHUP (its terminal was closed)",
            13: "SIGPIPE (nobody reads what it prints)",
        }
        name = names.get(self.signum, f"signal {self.signum}")
        return f"stopped by {name}{'; ' + self.advice if self.advice else ''}"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return "; did you mean X?" for the nearest of the choices, or "" where none is near."""
    choices = list(choices)
    swapped = [choice for choice in choices if sorted(choice) == sorted(word)]  # letters in another order
    same = [choice for choice in choices if choice.casefold() == word.casefold()]
    near = same or swapped or difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def printable(text: str) -> str:
    """The text with escapes for control characters and bytes that are no text: any terminal and file takes it."""
    return text.translate(CONTROLS)


def first_of(errors: Sequence[UserError], number: int = 5) -> str:
    """Several errors on one line: the first few, and how many more there are."""
    told = "; ".join(str(error) for error in errors[:number])
    return f"{told}; and {len(errors) - number} more" if len(errors) > number else told
