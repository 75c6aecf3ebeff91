"""A picture of a terminal shows what its screen showed."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

pytest.importorskip("pty", reason="Windows has no pseudo-terminals")

from terminal_picture import Screen, svg, watch


def shown(screen: Screen) -> list[str]:
    return ["".join(character for character, _ in line).rstrip() for line in screen.lines]


def test_the_screen_does_what_a_terminal_does() -> None:
    screen = Screen(8)
    screen.feed("loading …\r\x1b[Kdone\r\nlong words wrap\r\n\x1b[1A\x1b[2Kover\x1b[1;32mgreen\x1b[0m")
    assert shown(screen) == ["loading", "done", "long wor", "overgree", "n"]
    picture = svg(screen)
    assert ">loading<" in picture
    assert 'font-weight="bold" fill="#8ccf7e">gree<' in picture


def test_what_lies_below_the_cursor_is_cleared_with_the_rest_of_its_line() -> None:
    screen = Screen(8)
    screen.feed("above\r\none two\r\nthree\r\n\x1b[2A\r\x1b[Jnew")
    assert shown(screen) == ["above", "new"]


def test_a_command_is_watched_in_a_terminal_of_the_given_width() -> None:
    screen = Screen(40)
    program = "import os, sys; print(sys.stdout.isatty(), os.get_terminal_size().columns)"
    watch([sys.executable, "-c", program], screen, None)
    assert shown(screen)[0] == "True 40"
