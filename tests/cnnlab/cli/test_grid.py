"""What a grid of runs says: each run's settings as they were typed, the data once, and a table at the end."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnnlab.cli.grid import Job, grid_table
from conftest import SMOKE, Finished


def test_a_grid_tells_the_data_once_and_ends_in_a_table(train: Callable[..., Finished], tmp_path: Path) -> None:
    grid = train("-m", *SMOKE, "logger=none", "model=linear", "data.batch_size=32,64")
    assert grid.status == 0, grid.err
    (folder,) = tmp_path.glob("outputs/multiruns/*")
    assert re.findall("^run .*", grid.out, re.MULTILINE)[:2] == [
        "run 1 of 2  data.batch_size=32",
        "run 2 of 2  data.batch_size=64",
    ]
    assert "++" not in grid.out
    assert "HYDRA" not in grid.out
    for told in ("data    mnist-5k", "device  ", "model   Linear", "WARNING: this is not MNIST"):
        assert grid.out.count(told) == 1, told
        assert all(told.strip() in (folder / f"{number}/train.log").read_text() for number in (0, 1))
    assert "  test  " in (folder / "0/train.log").read_text()
    assert "  test  " not in grid.out, "the test is used once, after all choices"
    assert "What next?" not in (folder / "0/train.log").read_text(), "the grid says it once for all"

    scores = [json.loads((folder / f"{i}/metrics.json").read_text())["val/accuracy"] for i in (0, 1)]
    header, *rows = grid.out[grid.out.index("run  data.batch_size") :].splitlines()[:3]
    assert header.split() == ["run", "data.batch_size", "val/accuracy", "seconds"]
    assert [row.split()[:3] for row in rows] == [["1", "32", f"{scores[0]:.2%}"], ["2", "64", f"{scores[1]:.2%}"]]
    assert f"best: run {1 + (scores[1] > scores[0])}, {folder.relative_to(tmp_path)}/" in grid.out
    assert f"scripts/compare.py {folder.relative_to(tmp_path)}\n" in grid.out  # only: workbench


@pytest.mark.parametrize(("monitor", "best"), [("val/accuracy", 1), ("val/loss", 2)])
def test_the_best_run_is_named_and_a_failed_one_has_no_score(monitor: str, best: int, tmp_path: Path) -> None:
    results: list[dict[str, Any]] = [{"val/accuracy": 0.9, "val/loss": 0.5}, {"val/accuracy": 0.8, "val/loss": 0.4}, {}]
    jobs = []
    for number, result in enumerate(results):
        (tmp_path / str(number)).mkdir()
        if result:
            (tmp_path / f"{number}/metrics.json").write_text(json.dumps(result | {"train_seconds": 2.0}))
        jobs.append(Job(tmp_path / str(number), ["test=false", f"++optimizer.lr={number}"], monitor, None))
    lines = grid_table(jobs, ["-m", "test=false", "optimizer.lr=0,1,2"]).splitlines()
    assert lines[1].split() == ["run", "optimizer.lr", monitor, "seconds"]
    assert lines[4].split() == ["3", "2", "failed"]
    assert f"best: run {best}, " in "\n".join(lines)
    assert grid_table(jobs[2:], []) == "", "without any score there is no table"
