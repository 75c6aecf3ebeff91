"""A session measures what it can: a cell that fails and a limit of time cost no other cell's measurement."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cnnlab.errors import UserError
from cnnlab.workbench.benchmark import overhead, session
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.time_limit import TimeIsUp, TimeLimit

Measure = Callable[[], list[Row]]


def measured() -> list[Row]:
    seconds = {"bare": 1.0, "barebones": 2.0, "lightning": 3.0, "template": 1.5}
    return [{"variant": name, "repeat": 0, "steps": 1, "seconds": value} for name, value in seconds.items()]


def endless() -> list[Row]:
    while True:
        pass


def impossible() -> list[Row]:
    raise RuntimeError("no compiler")


def run(measures: list[Measure], monkeypatch: pytest.MonkeyPatch, folder: Path, seconds: float | None = None) -> None:
    """A session over a cell for each of these, with batch sizes from 1 on."""
    cells = [
        Cell({"device": "cpu", "model": "linear", "batch_size": size}, measure)
        for size, measure in enumerate(measures, 1)
    ]
    monkeypatch.setattr(overhead, "cells", lambda settings: cells)
    output = session.Output(folder, None, ["scripts/benchmark.py", "overhead"])
    session.run({"overhead": Settings(smoke=True)}, output, fresh=False, seconds=seconds)


def test_when_the_time_is_up_what_there_is_is_shown_and_what_there_is_not_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run([measured, endless, measured], monkeypatch, tmp_path, seconds=0.5)
    assert set(pd.read_csv(tmp_path / "overhead.csv")["batch_size"]) == {1}
    shown = capsys.readouterr()
    assert "| cpu | linear | 1 | 1,000,000 |" in shown.out
    left = shown.err.partition("0.5 s are over")[2].splitlines()[1:]
    assert [line.split()[-1] for line in left] == ["batch_size=2", "batch_size=3"]


def test_a_cell_that_fails_is_told_and_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="1 of 2 cells failed"):
        run([impossible, measured], monkeypatch, tmp_path)
    assert set(pd.read_csv(tmp_path / "overhead.csv")["batch_size"]) == {2}
    assert "failed: overhead device=cpu model=linear batch_size=1: no compiler" in capsys.readouterr().err


def test_where_every_cell_fails_the_first_reason_is_the_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no compiler"):
        run([impossible, impossible], monkeypatch, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_limit_that_is_over_lets_nothing_begin() -> None:
    with pytest.raises(TimeIsUp), TimeLimit(0.0).kept():
        pytest.fail("began")
    with TimeLimit(None).kept():
        pass
