"""Colours on the terminal. A coloured text carries marks, which only a terminal turns into colours.

The marks are characters that no text uses. The console replaces them by the terminal's control sequences; a log file
and a pipe get the plain text. Foreign text, as the names of classes, therefore cannot contain a control sequence that
the terminal would obey.
"""

import logging
import shutil
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
_FIRST = 0xF0000  # of the characters that Unicode leaves to private use
_MARKS = {style: chr(_FIRST + code) for style, code in _CODES.items()}
_END = chr(_FIRST)

# For str.translate: from marks to the terminal's control sequences, and to nothing.
SEQUENCES = {ord(_END): "\x1b[0m"} | {ord(_MARKS[style]): f"\x1b[{code}m" for style, code in _CODES.items()}
NOTHING = dict.fromkeys(SEQUENCES, "")

_is_on = False


def coloured(text: str, style: str) -> str:
    """Mark a text as bold, dim, red, green, yellow or cyan. Where there are no colours it stays as it is."""
    return f"{_MARKS[style]}{text}{_END}" if _is_on and text else text


def labelled(text: str) -> str:
    """Dim the words before the first gap of two spaces, as in "device  CPU, 32-true"."""
    label, gap, content = text.partition("  ")
    return coloured(label, "dim") + gap + content


@contextmanager
def switched_on(wanted: bool) -> Iterator[None]:
    """Let `coloured` mark texts while the block runs, or not."""
    global _is_on
    before, _is_on = _is_on, wanted
    try:
        yield
    finally:
        _is_on = before


class PlainFormatter(logging.Formatter):
    """Formats what goes to a log file, without colours."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).translate(NOTHING)


class TerminalFormatter(logging.Formatter):
    """Formats what goes to the terminal: warnings are yellow and broken between words."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno < logging.WARNING or not _is_on:
            return text
        width = shutil.get_terminal_size().columns
        return coloured(textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False), "yellow")
