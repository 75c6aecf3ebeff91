"""Threads wait briefly unless the user says how, in everything that loads torch."""

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cnnlab.speed import threads
from conftest import PROJECT

SCRIPTS = [path for path in PROJECT.glob("scripts/*.py") if "__main__" in path.read_text(encoding="utf-8")]
ENTRIES = [*PROJECT.glob("*.py"), *SCRIPTS, PROJECT / "tests/conftest.py"]


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in threads.SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("nothing_set")
def test_waits_are_short_without_a_setting() -> None:
    threads.wait_briefly()
    assert {name: os.environ.get(name) for name in threads.SETTINGS} == {
        "OMP_WAIT_POLICY": None,
        "GOMP_SPINCOUNT": "10000",
        "KMP_BLOCKTIME": "1",
    }
    assert threads.is_left_to_us()


@pytest.mark.usefixtures("nothing_set")
@pytest.mark.parametrize(
    ("name", "value"), [("OMP_WAIT_POLICY", "active"), ("GOMP_SPINCOUNT", "7"), ("KMP_BLOCKTIME", "0")]
)
def test_the_users_own_setting_wins(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    threads.wait_briefly()
    assert {known: os.environ[known] for known in threads.SETTINGS if known in os.environ} == {name: value}
    assert threads.is_left_to_us() == (name == "KMP_BLOCKTIME")  # which says nothing to libgomp


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.name)
def test_torch_is_not_loaded_first(path: Path) -> None:
    """Thread libraries read their settings when torch loads them: cnnlab must have been imported by then."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    imported = [node.module or "" for node in body if isinstance(node, ast.ImportFrom)]
    imported = [
        name
        for node in body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    ]
    first = {"cnnlab": len(imported), "torch": len(imported)}
    for place, name in reversed(list(enumerate(imported))):
        first[name.partition(".")[0]] = place
    assert first["cnnlab"] <= first["torch"]


_SHOW = "print('torch' in sys.modules, os.environ.get('GOMP_SPINCOUNT'))"


@pytest.mark.parametrize(
    "start",
    [
        "import train; train.main.start(['train.py', 'hydra.run.dir=no/such/=folder'])",
        "cnnlab.train(['no_such_key=1'])",
        "cnnlab.load_run('no such run')",
    ],
    ids=["a command", "cnnlab.train", "cnnlab.load_run"],
)
def test_an_import_sets_nothing_and_who_loads_torch_finds_the_settings_made(
    start: str, environment: dict[str, str], tmp_path: Path
) -> None:
    code = f"""
import os, sys
import cnnlab, cnnlab.cli.command
{_SHOW}
found = []
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            found.append(os.environ.get("GOMP_SPINCOUNT"))
            raise KeyboardInterrupt  # seen enough: loading torch itself would take seconds
sys.meta_path.insert(0, Watch())
try:
    {start}
except BaseException:
    pass
try:
    import torch
except KeyboardInterrupt:
    print(found[0])
"""
    kept = {name: value for name, value in environment.items() if name not in threads.SETTINGS}
    kept["PYTHONPATH"] = f"{kept['PYTHONPATH']}{os.pathsep}{PROJECT}"
    shown = subprocess.run(
        [sys.executable, "-c", code], env=kept, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["False", "None", "10000"]


@pytest.mark.parametrize("where", [threads._OF_THIS_THREAD, Path("absent")], ids=["of the system", "of the clocks"])
def test_work_on_a_core_is_told_from_waiting_for_one(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_OF_THIS_THREAD", where)
    before, began = threads.core_time(), time.thread_time()
    while time.thread_time() - began < 0.1:
        pass
    had, wanted = (after - then for after, then in zip(threads.core_time(), before, strict=True))
    assert had == pytest.approx(0.1, abs=0.03)
    assert wanted >= had - 0.01
