"""Searches that are killed, stopped or shared: the budget stays exact, and nothing is left behind."""

# only: never
# scripts/sweep_stress.py does the same for longer.
# end only

import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from app_runs import (
    APP,
    TOY,
    Apart,
    Apps,
    finished,
    load,
    needs_proc,
    points,
    results,
    states,
    trial_folders,
    wait_until,
)
from sweep_app import SEEN

pytestmark = [needs_proc, pytest.mark.skipif(sys.platform == "win32", reason="this system cannot fork")]

RANDOM = ["hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=0", "x=interval(-5,5)"]


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Apps]:
    apps = Apps(tmp_path, monkeypatch, capfd)
    yield apps
    apps.close()


def has_begun(folder: Path, count: int = 1, known: frozenset[str] = frozenset()) -> bool:
    """Whether so many tasks have come to their first line, those of known folders aside."""
    return sum(path.parent.name not in known for path in folder.glob(f"[0-9]*/{SEEN}")) >= count


def signalled(sweep: Apart, signum: int) -> None:
    os.kill(sweep.process.pid, signum)


@pytest.mark.slow
def test_kills_of_the_controller_change_nothing_in_the_end(apps: Apps) -> None:
    folder, n_trials = apps.folder / "sweep", 10
    arguments = ["seconds=0.1", f"hydra.sweeper.n_trials={n_trials}", *RANDOM]
    chance = random.Random(0)
    settled: dict[int, tuple[object, ...]] = {}
    for _ in range(3):
        known = frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()
        sweep = apps.apart(APP, *arguments)
        wait_until(lambda known=known: has_begun(folder, known=known))  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.3))
        sweep.process.kill()
        sweep.finish()
        wait_until(lambda sweep=sweep: not sweep.alive(), 2)  # type: ignore[misc]
        for trial in finished(load(folder)):
            told = (trial.state, trial.values, trial.params, trial.datetime_complete)
            assert settled.setdefault(trial.number, told) == told

    last = apps.apart(APP, *arguments)
    ended = last.finish()
    assert (ended.status, ended.err) == (0, "")
    assert last.alive() == []
    study = load(folder)
    assert set(states(study)) <= {"COMPLETE", "FAIL"}
    assert len(finished(study)) == len(set(points(study))) == n_trials
    assert {trial.user_attrs["reason"] for trial in study.trials if trial.user_attrs.get("interrupted")} <= {
        "its controller was gone"
    }
    assert (
        settled.items()
        <= {
            trial.number: (trial.state, trial.values, trial.params, trial.datetime_complete) for trial in study.trials
        }.items()
    )
    for path in folder.glob("[0-9]*/.hydra/overrides.yaml"):  # each folder was used by its own trial only
        trial = study.trials[int(path.parents[1].name)]
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
        if written is not None or not trial.user_attrs.get("interrupted"):  # killed while Hydra wrote it: empty
            assert written == trial.user_attrs["overrides"]
    assert results(folder)["counts"] == {
        "complete": n_trials,
        "pruned": 0,
        "failed": 0,
        "interrupted": len(study.trials) - n_trials,
        "running": 0,
    }
    assert not (folder / ".controllers").exists()


def test_the_death_of_one_trial_does_not_stop_the_other_slot(apps: Apps) -> None:
    folder = apps.folder / "sweep"
    sweep = apps.apart(APP, "seconds=1", "hydra.sweeper.n_trials=4", *RANDOM)
    wait_until(lambda: has_begun(folder, 2))
    seen = json.loads((folder / "0" / SEEN).read_text(encoding="utf-8"))
    os.kill(seen["pid"], signal.SIGKILL)
    ended = sweep.finish()
    assert (ended.status, ended.err) == (0, "")
    assert "trial 0  its process was killed by signal 9; will be run again" in ended.out
    study = load(folder)
    assert len(finished(study)) == 4
    lost, other, again = study.trials[0], study.trials[1], study.trials[2]
    assert (lost.state.name, lost.user_attrs["interrupted"]) == ("FAIL", True)
    assert (again.state.name, again.user_attrs["retry_of"], again.params) == ("COMPLETE", 0, lost.params)
    assert other.state.name == "COMPLETE"
    assert again.datetime_start < other.datetime_complete  # type: ignore[operator]
    assert sweep.alive() == []


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_stopped_sweep_ends_in_order_and_goes_on_by_its_own_command(
    signum: signal.Signals, status: int, apps: Apps
) -> None:
    folder = apps.folder / "sweep"
    sweep = apps.apart(APP, "seconds=0.8", "hydra.sweeper.n_trials=3", "z='a b'", *RANDOM)
    wait_until(lambda: has_begun(folder, 2))
    signalled(sweep, signum)
    began = time.monotonic()
    ended = sweep.finish(15)
    assert time.monotonic() - began < 10
    assert ended.status == status
    assert sweep.alive() == []
    assert "Traceback" not in ended.out + ended.err
    assert "resource_tracker" not in ended.err
    assert re.search("stopping [12] running trial", ended.out)
    study = load(folder)
    assert "RUNNING" not in states(study)
    interrupted = [trial for trial in study.trials if trial.user_attrs.get("interrupted")]
    assert {trial.user_attrs["reason"] for trial in interrupted} == {"the search was stopped"}
    assert results(folder)["counts"]["running"] == 0

    (line,) = (line for line in ended.err.splitlines() if "go on with: " in line)
    command = shlex.split(line.partition("go on with: ")[2])
    again = subprocess.run(command, cwd=apps.folder, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    study = load(folder)
    assert len(finished(study)) == 3
    assert not {"RUNNING", "WAITING"} & set(states(study))
    assert {trial.params["x"] for trial in interrupted} <= {trial.params["x"] for trial in finished(study)}


@pytest.mark.slow
def test_a_second_ctrl_c_ends_it_at_once(apps: Apps) -> None:
    folder = apps.folder / "sweep"
    sweep = apps.apart(APP, "what=deaf", "hydra.sweeper.n_trials=3", *RANDOM)
    wait_until(lambda: has_begun(folder, 2))
    signalled(sweep, signal.SIGINT)
    time.sleep(1)  # trials that do not listen are given ten seconds
    assert sweep.process.poll() is None
    signalled(sweep, signal.SIGINT)
    began = time.monotonic()
    assert sweep.finish(10).status == 130
    assert time.monotonic() - began < 2
    wait_until(lambda: not sweep.alive(), 2)


def test_ctrl_c_before_the_first_trial(apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(APP.parent)])
    sweep = apps.apart(APP, "hydra.sweeper.prepare=sweep_app.prepare_for_long", *RANDOM, PYTHONPATH=path)
    wait_until((apps.folder / "preparing").exists)
    signalled(sweep, signal.SIGINT)
    ended = sweep.finish(10)
    assert ended.status == 130
    assert ended.err.startswith("stopped; go on with: ")
    assert ended.err.count("\n") == 1
    wait_until(lambda: not sweep.alive(), 2)
    assert [path.name for path in apps.folder.iterdir()] == ["preparing"]


@pytest.mark.slow
def test_invocations_at_once_share_the_trials(apps: Apps) -> None:
    folder, n_trials = apps.folder / "outputs/sweeps/toy", 10
    arguments = ["seconds=0.05", f"hydra.sweeper.n_trials={n_trials}", *RANDOM]
    sweeps = [apps.apart(TOY, *arguments) for _ in range(3)]
    for sweep in sweeps:
        ended = sweep.finish()
        assert (ended.status, ended.err) == (0, "")
        assert f"{n_trials} complete\n" in ended.out
        assert sweep.alive() == []
    study = load(folder)
    assert states(study) == ["COMPLETE"] * n_trials
    assert len(set(points(study))) == n_trials
    assert trial_folders(folder) == list(range(n_trials))
    assert len({trial.user_attrs["owner"] for trial in study.trials}) > 1
