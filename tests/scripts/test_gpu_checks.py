"""The checks of a GPU, tried on the CPU: each ends in a line of the table, whatever happens to it."""

import argparse
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import ModuleType

import pytest

from conftest import PROJECT

SCRIPT = PROJECT / "scripts/gpu_checks.py"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PROJECT / "scripts"))
    import gpu_checks

    return gpu_checks


@pytest.fixture
def options(tmp_path: Path) -> argparse.Namespace:
    return argparse.Namespace(device="cpu", smoke=True, out=tmp_path, seconds=300.0, at_once=2)


@pytest.mark.slow
def test_a_check_on_the_cpu(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "machine", "--device", "cpu", "--smoke", "--out", str(tmp_path / "checks")]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = (tmp_path / "checks/report.md").read_text(encoding="utf-8")
    assert "| machine | OK |" in report
    assert report.splitlines()[-1] in ended.stdout
    with tarfile.open(tmp_path / "checks/logs.tar.gz") as logs:
        assert logs.getnames() == ["machine.txt"]


def test_a_check_that_fails_does_not_keep_the_others(
    checks: ModuleType, options: argparse.Namespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(lab: object) -> str:
        raise checks.Failed("3 and\n4 | differ")

    def broken(lab: object) -> str:
        raise KeyError("absent")

    looks = {"wrong": wrong, "broken": broken, "good": lambda lab: "as it should be", "alone": lambda lab: "the last"}
    made = [checks.Check(name, look, 60, alone=name == "alone") for name, look in looks.items()]
    results = {result.check.name: result for result in checks.check_all(made, tmp_path / "work", options)}
    assert {name: result.word for name, result in results.items()} == {
        **{"wrong": "FAILED", "broken": "FAILED"},
        **{"good": "OK", "alone": "OK"},
    }
    report = (tmp_path / "report.md").read_text(encoding="utf-8").splitlines()
    assert report[2:] == capsys.readouterr().out.splitlines()
    assert "| wrong | FAILED | 0 | 3 and 4 / differ |" in report
    assert report[-1] == "| alone | OK | 0 | the last |"
    options.seconds = 1.0
    (late,) = checks.check_all(made[:1], tmp_path / "late", options)
    assert late.word == "not run"


def test_a_command_that_takes_too_long_is_ended(
    checks: ModuleType, options: argparse.Namespace, tmp_path: Path
) -> None:
    script = tmp_path / "forever.py"
    script.write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)\n", encoding="utf-8")
    lab = checks.Lab("slow", tmp_path / "slow", options, 0.0, None)
    began = time.monotonic()
    with pytest.raises(checks.Failed, match="forever.py : exit status -15: begun"):
        lab.run(str(script))
    assert time.monotonic() - began < 30
    assert "begun" in (tmp_path / "slow.txt").read_text(encoding="utf-8")


def test_two_runs_are_equal_but_for_their_times(checks: ModuleType) -> None:
    one = {"val/accuracy": 0.5, "train_seconds": 1.0}
    assert checks.differences(one, {"val/accuracy": 0.5, "train_seconds": 2.0}) == ""
    assert checks.differences(one, {"val/accuracy": 0.6, "train_seconds": 1.0}) == "val/accuracy 0.5 and 0.6"
