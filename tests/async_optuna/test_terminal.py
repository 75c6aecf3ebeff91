"""Lines that are drawn again in the same place of a terminal, of whatever size that has become."""

import os
import struct
from collections.abc import Iterator

import pytest

from async_optuna.terminal import Terminal

fcntl = pytest.importorskip("fcntl", reason="Windows has no pseudo-terminals")
pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")


class Window:
    """A terminal and what it has shown."""

    def __init__(self) -> None:
        self.reader, writer = pty.openpty()
        os.set_blocking(self.reader, False)
        self.stream = os.fdopen(writer, "w", encoding="utf-8")
        self.resize(40, 10)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.stream, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def written(self) -> str:
        try:
            return os.read(self.reader, 2**16).decode()
        except BlockingIOError:
            return ""


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    window = Window()
    yield window
    window.stream.close()
    os.close(window.reader)


def test_what_is_drawn_is_drawn_over_and_makes_room_for_other_output(window: Window) -> None:
    terminal = Terminal(window.stream)
    terminal.draw([[("one", "bold")], [("two", "")]])
    assert window.written() == "\r\x1b[1mone\x1b[0m\x1b[K\r\ntwo\x1b[K\r\n\x1b[J"
    terminal.draw([[("three", "")]])
    assert window.written() == "\x1b[2A\rthree\x1b[K\r\n\x1b[J"
    terminal.clear()
    assert window.written() == "\x1b[1A\r\x1b[J"


def test_nothing_is_written_while_nothing_changes(window: Window) -> None:
    terminal = Terminal(window.stream)
    terminal.draw([[("one", "")]])
    window.written()
    terminal.draw([[("one", "")]])
    assert window.written() == ""


def test_lines_are_cut_to_the_window_and_what_moves_a_cursor_is_not_shown(window: Window) -> None:
    terminal = Terminal(window.stream)
    terminal.draw([[("x" * 60, "cyan")], [("a\x1b[2Jb\n", ""), ("c", "")]] + [[("y", "")]] * 20)
    lines = window.written().replace("\x1b[K", "").split("\r\n")
    assert lines == [f"\r\x1b[36m{'x' * 38}…\x1b[0m", "a?[2Jb?c", *["y"] * 7, "\x1b[J"]


def test_a_narrower_window_has_broken_the_old_lines(window: Window) -> None:
    terminal = Terminal(window.stream)
    terminal.draw([[("x" * 39, "")], [("short", "")]])
    window.written()
    window.resize(20, 10)
    terminal.draw([[("x" * 39, "")], [("short", "")]])
    assert window.written().startswith("\x1b[3A\r")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_what_the_user_refuses(name: str, value: str, window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    terminal = Terminal(window.stream)
    terminal.draw([[("one", "bold")]])
    assert window.written() == ("\rone\x1b[K\r\n\x1b[J" if name == "NO_COLOR" else "")


def test_a_terminal_that_was_closed_ends_nothing(window: Window) -> None:
    terminal = Terminal(window.stream)
    terminal.draw([[("one", "")]])
    os.dup2(os.open(os.devnull, os.O_RDONLY), window.stream.fileno())
    terminal.draw([[("two", "")]])
