"""The process that trials are forked from, while it is still importing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from app_runs import TOY, load, needs_proc, states, wait_until

pytestmark = [needs_proc, pytest.mark.skipif(sys.platform == "win32", reason="this system cannot fork")]


def start(folder: Path, module: str, environment: dict[str, str]) -> "subprocess.Popen[str]":
    """Sweep with a preloaded module of this source, as the only thing in a terminal."""
    (folder / "preloaded.py").write_text(f"open({str(folder / 'began')!r}, 'w')\n{module}\n", encoding="utf-8")
    path = f"{environment.get('PYTHONPATH', '')}{os.pathsep}{folder}"
    return subprocess.Popen(
        [sys.executable, str(TOY), "-m", "hydra.sweeper.preload=[preloaded]", "hydra.sweeper.n_trials=2"],
        cwd=folder,
        env={**environment, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_ctrl_c_meanwhile(tmp_path: Path, environment: dict[str, str]) -> None:
    sweep = start(tmp_path, "import time; time.sleep(2)", environment)
    wait_until((tmp_path / "began").exists)
    time.sleep(0.2)
    os.killpg(sweep.pid, signal.SIGINT)
    _, err = sweep.communicate(timeout=30)
    assert sweep.returncode == 130, err
    assert "Traceback" not in err
    assert "go on with: " in err
    assert "RUNNING" not in states(load(tmp_path / "outputs/sweeps/toy"))


def test_a_module_that_cannot_be_imported(tmp_path: Path, environment: dict[str, str]) -> None:
    sweep = start(tmp_path, "raise RuntimeError('no such luck')", environment)
    _, err = sweep.communicate(timeout=30)
    assert sweep.returncode == 1
    assert "no such luck" in err
    assert "does a module of hydra.sweeper.preload fail above?" in err
    assert "RUNNING" not in states(load(tmp_path / "outputs/sweeps/toy"))
