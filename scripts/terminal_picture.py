"""Run a command in a terminal of a given width and draw what its screen showed, with colours, as an SVG picture.

    python scripts/terminal_picture.py docs/terminal.svg -- python train.py
    python scripts/terminal_picture.py docs/terminal_search.svg --after 60 -- python train.py -m sweep=tinyvgg

The terminal is a pseudo-terminal of this machine (Linux or macOS), so the command behaves as it does for a person. The
picture shows the screen at the end, or after some seconds, and then the command is stopped as by Ctrl-C.
"""

import argparse
import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import sys
import termios
import time
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from cnnlab.cli import console
from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically

# Characters, control characters and the sequences that move the cursor, clear a line or choose a colour.
_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b.|([\r\n\b])|([^\x1b\r\n\b]+)", re.DOTALL)
_COLOURS = {
    31: "#f07178", 32: "#8ccf7e", 33: "#e5c07b", 34: "#6cb6ff", 35: "#c792ea", 36: "#56c8d8", 90: "#8b949e",
}  # fmt: skip
_BACKGROUND, _TEXT, _DIM = "#161b22", "#e6edf3", "#8b949e"
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_CHAR, _LINE, _MARGIN, _BAR = 8.4, 19, 18, 34

Style = frozenset[int]
Cell = tuple[str, Style]


class Screen:
    """The cells of a terminal that is `width` characters wide and as long as it needs to be."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.lines: list[list[Cell]] = [[]]
        self._row = self._column = 0
        self._style: Style = frozenset()

    def feed(self, text: str) -> None:
        """Do what a terminal does with this output."""
        for numbers, action, control, written in _TOKEN.findall(text):
            if action:
                self._do(action, [int(n) for n in re.findall(r"\d+", numbers)])
            elif control:
                self._row += control == "\n"
                self._column = 0 if control == "\r" else max(self._column - (control == "\b"), 0)
            for character in written:
                if self._column == self.width:
                    self._row, self._column = self._row + 1, 0
                line = self._line()
                line += [(" ", frozenset())] * (self._column + 1 - len(line))
                line[self._column] = (character, self._style)
                self._column += 1

    def _do(self, action: str, numbers: list[int]) -> None:
        count = (numbers or [1])[0]
        if action == "m":
            for number in numbers or [0]:
                self._style = self._style | {number} if number else frozenset()
        elif action in "AB":
            self._row = max(self._row + (count if action == "B" else -count), 0)
        elif action == "K":
            line = self._line()
            line[:] = [] if numbers == [2] else line[: self._column]
        elif action == "J":
            line = self._line()
            line[:] = line[: self._column]
            del self.lines[self._row + 1 :]
        elif action == "G":
            self._column = count - 1

    def _line(self) -> list[Cell]:
        self.lines += [[] for _ in range(self._row + 1 - len(self.lines))]
        return self.lines[self._row]


@console.script()
def main() -> None:
    arguments = parse_arguments()
    screen = Screen(arguments.columns)
    screen.feed(f"\x1b[32m$\x1b[0m {shlex.join(arguments.command)}\r\n")
    watch(arguments.command, screen, arguments.after)
    write_atomically(arguments.out, svg(screen).encode())
    for line in screen.lines:
        print("".join(character for character, _ in line).rstrip())
    print(f"\n{arguments.out}", file=sys.stderr)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the picture, an .svg file")
    parser.add_argument("command", nargs="+", help="the command and its arguments, after --")
    parser.add_argument("--columns", type=int, default=80, help="the width of the terminal (default 80)")
    parser.add_argument("--after", type=float, metavar="SECONDS", help="show the screen at this moment, not at the end")
    return parser.parse_args()


def watch(command: list[str], screen: Screen, after: float | None) -> None:
    """Run the command in a pseudo-terminal and show its output on the screen.

    Raises:
        UserError: if there is no such program, or if it fails.
    """
    end = float("inf") if after is None else time.monotonic() + after
    process, terminal = pty.fork()
    if process == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, screen.width, 0, 0))
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(error, file=sys.stderr)
        os._exit(127)
    output = b""
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            read = os.read(terminal, 2**16)
        except OSError:  # how Linux says that the program has ended
            read = b""
        if not read:
            break
        output += read
    screen.feed(output.decode(errors="replace"))
    if time.monotonic() >= end:
        os.kill(process, signal.SIGINT)
        os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status != 0 and after is None:
        raise UserError(f"{shlex.join(command)} ended with exit status {status}:\n{output.decode(errors='replace')}")


def svg(screen: Screen) -> str:
    """Return the picture. Each stretch of one style is as wide as its cells, whatever font the reader has."""
    lines = list(screen.lines)
    while lines and not lines[-1]:
        lines.pop()
    width = round(screen.width * _CHAR + 2 * _MARGIN)
    height = round(len(lines) * _LINE + _BAR + _MARGIN)
    dots = [
        f'<circle cx="{20 + 18 * i}" cy="18" r="6" fill="{colour}"/>'
        for i, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    ]
    texts = [text for row, line in enumerate(lines) for text in stretches(line, _BAR + (row + 0.75) * _LINE)]
    size = f'width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size}>',
            f'<rect {size} rx="8" fill="{_BACKGROUND}"/>',
            *dots,
            f'<g font-family="{_FONT}" font-size="14" fill="{_TEXT}" xml:space="preserve">',
            *texts,
            "</g>",
            "</svg>",
            "",
        ]
    )


def stretches(line: list[Cell], y: float) -> list[str]:
    """Return the SVG elements of one line."""
    elements, column = [], 0
    for style, cells in groupby(line, key=lambda cell: cell[1]):
        text = "".join(character for character, _ in cells)
        shown = text.strip()
        if shown:
            x = _MARGIN + (column + len(text) - len(text.lstrip())) * _CHAR
            colour = next((f' fill="{_COLOURS[n]}"' for n in style if n in _COLOURS), "")
            look = (' font-weight="bold"' if 1 in style else "") + (colour or f' fill="{_DIM}"' * (2 in style))
            size = f'textLength="{len(shown) * _CHAR:.1f}" lengthAdjust="spacingAndGlyphs"'
            kept = re.sub(
                " {2,}", lambda gap: "\N{NO-BREAK SPACE}" * len(gap[0]), escape(shown)
            )  # browsers join spaces
            elements.append(f'<text x="{x:.1f}" y="{y:.1f}" {size}{look}>{kept}</text>')
        column += len(text)
    return elements


if __name__ == "__main__":
    main()
