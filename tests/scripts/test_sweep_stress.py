"""Searches that are killed and interrupted, and that the script which does it would notice if they went wrong."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from conftest import PROJECT

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads other processes from /proc")


@pytest.fixture
def stress(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PROJECT / "scripts"))
    import sweep_stress

    return sweep_stress


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(
    "part", ["kills", "interrupts", "worker", "together", "group", "hangup", "hang", "reports", "hosts"]
)
def test_a_little_of_each(part: str, environment: dict[str, str]) -> None:
    command = [sys.executable, str(PROJECT / "scripts/sweep_stress.py"), part, "--smoke"]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "FAILED" not in ended.stdout
    assert "folders used twice or by another trial" in ended.stdout


@needs_proc
def test_what_is_wrong_is_found(stress: ModuleType, tmp_path: Path) -> None:
    study = stress.ToyStudy(tmp_path / "study", 3, 2, ["x=1,2,3"])
    study.run()
    checks = stress.Checks(judges_times=False)
    stress.check(study, checks)
    assert set(checks.table("part")["result"]) == {"OK"}
    with (study.folder / "1/output.log").open("a") as output:
        output.write("1.0 begins\n")
    (study.folder / "7").mkdir()
    (study.folder / "2/.hydra/overrides.yaml").write_text("[x=9]")
    study.n_trials = 4
    checks = stress.Checks(judges_times=False)
    stress.check(study, checks)
    table = checks.table("part").set_index("check")
    assert set(table.index[table["result"] == "FAILED"]) == {
        "finished trials",
        "distinct points among them",
        "folders used twice or by another trial",
    }
    assert table.loc["folders used twice or by another trial", "seen"] == "3"


def test_one_failure_among_many_shows(stress: ModuleType) -> None:
    checks = stress.Checks()
    for status in (0, 1, 0):
        checks.equal("exit status", status, 0)
    for seconds in (0.1, 2.5):
        checks.at_most("gone after", seconds, 2.0)
    rows = checks.table("kills")[["times", "seen", "expected", "result"]].to_numpy().tolist()
    assert rows == [[3, "0 (2), 1 (1)", "0", "FAILED"], [2, "<= 2.50 s", "<= 2 s", "FAILED"]]
    checks.judges_times = False
    assert checks.table("kills")["result"].tolist() == ["FAILED", "OK"]
