"""The benchmark of searches counts correctly and writes its tables where they belong."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from conftest import PROJECT


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PROJECT / "scripts"))
    import sweep_benchmark

    return sweep_benchmark


def test_a_free_slot_takes_the_next_trial_and_a_barrier_waits(bench: ModuleType) -> None:
    durations = [4.0, 1.0, 1.0, 2.0, 1.0]
    assert bench.makespan(durations, 2) == 5.0
    assert bench.barrier_makespan(durations, 2) == 4.0 + 2.0 + 1.0
    assert bench.share(durations, 2, 5.0) == "0.90"
    assert bench.makespan(durations, 1) == bench.barrier_makespan(durations, 1) == 9.0


def test_a_long_study_of_each_sampler(bench: ModuleType) -> None:
    table = pd.DataFrame(bench.claim_costs(20))
    assert table.groupby("sampler")["trials"].last().eq("20").all()
    assert len(table) == 10 * table["sampler"].nunique()
    assert table.drop(columns=["sampler", "trials"]).astype(float).ge(-1).all(axis=None)


def test_a_text_replaces_the_older_one_of_its_part(bench: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text("# Before\n<!-- sweep idle: begin -->\nold\n<!-- sweep idle: end -->\nAfter\n", encoding="utf-8")
    bench.update_results(path, "idle", "new\n")
    expected = "# Before\n<!-- sweep idle: begin -->\nnew\n<!-- sweep idle: end -->\nAfter\n"
    assert path.read_text(encoding="utf-8") == expected
    with pytest.raises(SystemExit, match="holds no <!-- sweep journal: begin -->"):
        bench.update_results(path, "journal", "new\n")
    assert path.read_text(encoding="utf-8") == expected


@pytest.mark.slow
def test_a_little_of_it(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, str(PROJECT / "scripts/sweep_benchmark.py"), "idle", "journal", "--smoke"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    out = tmp_path / "outputs/bench/sweep"
    idle, journal = pd.read_csv(out / "idle.csv"), pd.read_csv(out / "journal.csv")
    assert idle["trials"].tolist() == [6]
    assert 0 < idle["utilisation"][0] <= idle["with no idle time at all"][0] <= 1
    assert journal["trials"].iloc[[0, -1]].tolist() == ["0–1", "18–19"]
    assert "| sampler seed | trials | idle s per trial |" in ended.stdout
    assert (out / "idle.md").read_text(encoding="utf-8").strip() in ended.stdout
