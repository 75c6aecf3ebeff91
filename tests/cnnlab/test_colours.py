"""Marks become colours on a terminal alone."""

import logging

import pytest

from cnnlab import colours
from cnnlab.colours import PlainFormatter, TerminalFormatter, coloured, labelled


def record(text: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("name", level, "path", 1, text, (), None)


def test_a_text_is_marked_only_where_there_are_colours() -> None:
    assert coloured("x", "red") == "x"
    with colours.switched_on(True):
        marked = labelled("device  CPU")
        assert marked.translate(colours.SEQUENCES) == "\x1b[2mdevice\x1b[0m  CPU"
        assert marked.translate(colours.NOTHING) == "device  CPU"
        assert PlainFormatter().format(record(marked)) == "device  CPU"
    assert coloured("x", "red") == "x"


def test_a_warning_is_yellow_and_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "12")
    warning = record("WARNING: one_long_word here", logging.WARNING)
    assert TerminalFormatter().format(warning) == "WARNING: one_long_word here"
    with colours.switched_on(True):
        shown = TerminalFormatter().format(warning)
        assert shown.translate(colours.SEQUENCES) == "\x1b[33mWARNING:\none_long_word\nhere\x1b[0m"
        assert TerminalFormatter().format(record("a" * 20)) == "a" * 20
