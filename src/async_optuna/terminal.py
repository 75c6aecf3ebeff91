"""Lines at the bottom of a terminal that are drawn again and again in the same place."""

import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

# A piece of a line and its look: "", or one of these.
Piece = tuple[str, str]
_LOOKS = {"bold": "1", "dim": "2", "green": "32", "yellow": "33", "cyan": "36"}


class Terminal:
    """Draws on standard error, if that is a terminal that can move its cursor; else it does nothing.

    A narrower window breaks old lines into several rows, and a lower one has no room for all; both are seen to.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self.is_used = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._has_colours = not os.environ.get("NO_COLOR")
        self._widths: list[int] = []  # of the lines that are drawn
        self._drawn = ""

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, less one of each that stay free: a full line would move the cursor on."""
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            columns, rows = shutil.get_terminal_size()
        return max(columns - 1, 1), max(rows - 1, 1)

    def draw(self, lines: Sequence[Sequence[Piece]]) -> None:
        """Replace what was drawn before."""
        if not self.is_used:
            return
        columns, rows = self.size
        fitted = [_fitted(line, columns) for line in lines[:rows]]
        text = "".join(f"{self._shown(line)}\x1b[K\n" for line in fitted)
        if text != self._drawn or columns < max(self._widths, default=0):
            self._put(f"{self._to_the_top(columns)}{text}\x1b[J")
            self._drawn, self._widths = text, [sum(len(piece) for piece, _ in line) for line in fitted]

    def clear(self) -> None:
        """Remove what was drawn, for other output to begin there."""
        if self._widths:
            self._put(f"{self._to_the_top(self.size[0])}\x1b[J")
            self._widths, self._drawn = [], ""

    def _to_the_top(self, columns: int) -> str:
        rows = sum(max(1, -(-width // (columns + 1))) for width in self._widths)
        return f"\x1b[{rows}A\r" if rows else "\r"

    def _shown(self, line: Sequence[Piece]) -> str:
        if not self._has_colours:
            return "".join(text for text, _ in line)
        return "".join(f"\x1b[{_LOOKS[look]}m{text}\x1b[0m" if look else text for text, look in line)

    def _put(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the terminal was closed
            self._stream.write("")  # an app may have something there that goes with the next output
            self._stream.flush()
            # An app's stream may show control characters as escapes, and only foreign text needs that.
            os.write(self._stream.fileno(), text.encode(self._stream.encoding or "utf-8", "replace"))


def tell_what_takes_long(what: str) -> None:
    """Say on a terminal what a person waits for."""
    terminal = Terminal()
    if terminal.is_used:
        terminal.draw([[(f"{what} …", "dim")]])


def _fitted(line: Sequence[Piece], columns: int) -> list[Piece]:
    """Cut a line to the width; what no terminal shows as one character becomes a question mark."""
    room, fitted = columns, []
    for text, look in line:
        text = "".join(character if character.isprintable() else "?" for character in text)
        if len(text) > room:
            fitted.append((f"{text[: room - 1]}…" if room else "", look))
            break
        fitted.append((text, look))
        room -= len(text)
    return fitted
