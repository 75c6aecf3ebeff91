"""Large imports go without garbage collection, and leave it as it was."""

import gc
import sys

import pytest

from cnnlab.cli.heavy_imports import heavy_imports


def test_garbage_is_not_looked_for_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.delitem(sys.modules, "torch")
    seen = []

    def fail() -> None:
        with heavy_imports():
            seen.append(gc.isenabled())
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert seen == [False]
    assert gc.isenabled()


def test_it_goes_on_where_nothing_is_left_to_import(monkeypatch: pytest.MonkeyPatch) -> None:
    with heavy_imports():
        assert gc.isenabled()
    monkeypatch.delitem(sys.modules, "torch")
    gc.disable()
    try:
        with heavy_imports():
            pass
        assert not gc.isenabled(), "somebody else's choice"
    finally:
        gc.enable()
