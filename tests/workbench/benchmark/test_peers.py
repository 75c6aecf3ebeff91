"""Tables and figure of the part that compares with other tools, and the processes and environments it needs."""

import json
import subprocess
import sys
import time
import venv
from pathlib import Path

import pandas as pd
import pytest

from cnnlab.errors import UserError
from cnnlab.workbench.benchmark import peer_searches, peers
from cnnlab.workbench.benchmark.measuring import Settings
from cnnlab.workbench.benchmark.peer_environment import NotInstallable, Peer
from cnnlab.workbench.benchmark.timed_process import TimedProcess

WITH_A_CHILD = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "


def tables(text: str) -> list[list[dict[str, str]]]:
    """The rows of each Markdown table."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    cells = [[line.removeprefix("| ").removesuffix(" |").split(" | ") for line in block] for block in blocks]
    return [[dict(zip(head, row, strict=True)) for row in body] for head, _, *body in cells]


def training(variant: str, repeat: int, cpu_seconds: float, **more: object) -> dict[str, object]:
    return {
        "kind": peers.ACCURACY, "accuracy_aim": 99, "variant": variant, "repeat": repeat, "seconds": 2 * cpu_seconds,
        "cpu_seconds": cpu_seconds, "train_seconds": 10.0, "images": 50_000, "accuracy": 0.991, "peak_mib": 600.0,
        "load": 1.0, **more,
    }  # fmt: skip


def test_a_training_is_compared_with_ours_of_the_same_turn() -> None:
    rows = pd.DataFrame(
        [
            training("cnnlab", 0, 10.0),
            training("other", 0, 30.0, version="other 1.0"),
            training("cnnlab", 1, 20.0),
            training("other", 1, 40.0, version="other 1.0"),
            {"kind": peers.ACCURACY, "accuracy_aim": 99, "variant": "gone", "repeat": 0, "reason": "needs torch<2"},
        ]
    )
    ((ours, other, gone),) = tables(peers.as_markdown(rows))
    assert (ours["CPU s, × ours"], other["CPU s, × ours"]) == ("1.00 (1.00–1.00)", "2.50 (2.00–3.00)")
    assert (other["version"], other["images/s"]) == ("other 1.0", "5,000 (5,000–5,000)")
    assert gone["version"] == "not measured: needs torch<2"
    assert peers.draw(rows).startswith(b"\x89PNG")


def search(variant: str, kind: str, **more: object) -> dict[str, object]:
    return {
        "kind": kind, "variant": variant, "version": "tool 2", "repeat": 0, "points": 40, "trials": 40,
        "seconds": 100.0, "training_seconds": 180.0, "training_cpu_seconds": 170.0, "load": 1.0, "ended_before": 20,
        "again": 0, "left": 0, "never": 0, **more,
    }  # fmt: skip


def test_searches_are_compared_by_the_accuracy_that_all_of_them_reached() -> None:
    rows = pd.DataFrame(
        [
            search("cnnlab", peers.SEARCH, bests=json.dumps([(10.0, 0.9), (30.0, 0.95), (40.0, 0.97)])),
            search("other", peers.SEARCH, bests=json.dumps([(50.0, 0.95)])),
            search("other", peers.KILLED, bests="[]", trials=58, again=18, left=3),
        ]
    )
    first, killed = tables(peers.as_markdown(rows))
    assert [line["seconds to 95.0 %"] for line in first] == ["30", "50"]
    assert first[0]["utilisation"] == "0.90"
    assert killed[0]["of them trained again"] == "18"
    assert killed[0]["trainings in all"] == "58 for 40 points"


def test_the_grid_holds_each_point_once_and_no_more_than_asked_for() -> None:
    searches = [cell for cell in peers.cells(Settings(trials=24)) if cell.keys["kind"] == peers.SEARCH]
    assert [cell.keys["tool"] for cell in searches] == list(peer_searches.BY_NAME)
    points = [tuple(point.values()) for point in peer_searches.points(peer_searches.smaller(peer_searches.SPACE, 24))]
    assert len(points) == len(set(points)) == 24


def test_what_a_killed_command_leaves_behind_is_seen_and_ended(tmp_path: Path) -> None:
    code = f"{WITH_A_CHILD}print('begun', flush=True); time.sleep(60)"
    with TimedProcess([sys.executable, "-c", code], tmp_path, {}) as process:
        while not process.lines():
            time.sleep(0.02)
        assert not process.has_ended()
        process.kill()
        if sys.platform == "linux":
            assert len(process.others()) == 1
    for _ in range(100):  # the system needs a moment to bury it
        if not process.others():
            break
        time.sleep(0.02)
    assert process.others() == []


def test_a_command_is_timed_and_its_failure_told_in_its_own_words(tmp_path: Path) -> None:
    with TimedProcess([sys.executable, "-c", "print('3')"], tmp_path, {}) as process:
        usage = process.wait()
        assert process.lines() == ["3"]
    assert usage.cpu_seconds > 0
    assert usage.peak_mib > 1
    failing = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with TimedProcess(failing, tmp_path, {}) as process, pytest.raises(UserError, match="no such thing$"):
        process.wait()


def test_a_peer_that_cannot_be_installed_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(venv, "create", lambda folder, with_pip: (folder / "lib").mkdir(parents=True))
    monkeypatch.setattr(Path, "write_text", lambda *given, **more: 0)
    refusal = subprocess.CompletedProcess([], 1, "", "WARNING: slow\nERROR: needs torch<2\nERROR: see above\n")
    monkeypatch.setattr(subprocess, "run", lambda *given, **more: refusal)
    peer = Peer("other", "train_other.py", "other", packages=("other>=1",))
    for _ in range(2):  # a folder that was left half made does not count as an environment
        with pytest.raises(NotInstallable, match="^needs torch<2$"):
            peer.interpreter()
    assert Peer("ours", "search.py", "torch").interpreter() == sys.executable
