"""A line on a terminal says what is being loaded, and is gone before anything else is said."""

import importlib
import io
import sys
from collections.abc import Iterator

import pytest

from cnnlab.cli import console
from cnnlab.cli.loading import Announcement
from cnnlab.colours import coloured


class Stream(io.TextIOWrapper):
    """A stream that is a terminal or not, and what was written to it."""

    def __init__(self, is_terminal: bool) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="utf-8", write_through=True)
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    @property
    def written(self) -> str:
        return self.bytes.getvalue().decode()


@pytest.fixture
def pandas_not_yet_imported(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    yield
    importlib.invalidate_caches()


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.usefixtures("pandas_not_yet_imported")
def test_it_appears_with_the_import_and_goes_with_the_next_output(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, err = Stream(False), Stream(is_terminal)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with console.forgiving():
        before = list(sys.meta_path)
        importlib.util.find_spec("pandas")
        shown = err.written
        print("done")
    assert shown == ("loading pandas …" if is_terminal else "")
    assert err.written == (f"{shown}\r{' ' * len(shown)}\r" if is_terminal else "")
    assert out.written == "done\n"
    assert [type(finder) for finder in before].count(Announcement) == 1
    assert not any(isinstance(finder, Announcement) for finder in sys.meta_path)


@pytest.mark.parametrize(
    ("is_terminal", "refused", "expected"),
    [(True, {}, "\x1b[31mred\x1b[0m \\x1b[2J"), (True, {"NO_COLOR": "1"}, "red \\x1b[2J"), (False, {}, "red \\x1b[2J")],
)
def test_colours_are_for_terminals_and_foreign_sequences_for_none(
    is_terminal: bool, refused: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Stream(is_terminal)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in refused.items():
        monkeypatch.setenv(name, value)
    err = Stream(False)
    monkeypatch.setattr(sys, "stderr", err)
    with console.forgiving():
        print(coloured("red", "red"), "\x1b[2J")
        print(coloured("red", "red"), file=err)
    assert out.written == f"{expected}\n"
    assert err.written == "red\n", "standard error goes to a file"
