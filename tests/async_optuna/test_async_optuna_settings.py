"""What the settings of a search mean, seen from an app."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_runs import APP, Apps, error_line, stop_forkserver, trial_folders

from async_optuna.commands import this_script

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this system cannot fork")


@pytest.fixture(scope="module", autouse=True)
def _own_forkserver() -> Iterator[None]:
    stop_forkserver()
    yield
    stop_forkserver()


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Apps]:
    monkeypatch.syspath_prepend(str(APP.parent))
    apps = Apps(tmp_path, monkeypatch, capfd)
    yield apps
    apps.close()


def seen(folder: Path, key: str) -> list[object]:
    files = [folder / str(number) / "seen.json" for number in trial_folders(folder)]
    return [json.loads(file.read_text(encoding="utf-8"))["config"][key] for file in files]


def test_a_grid_of_steps_and_of_all_kinds_of_choices(apps: Apps) -> None:
    """The last step is not overshot; letters, quotes and lists reach the app; a list can be tried first."""
    grid = ["hydra/sweeper/sampler=grid", "x=range(0.1,0.35,0.1)", "z=choice('ä',\"it's\",[1,2])"]
    first = "hydra.sweeper.enqueue=[{z: [1, 2], x: 0.2}]"
    ended = apps.here(APP, *grid, first, "hydra.sweeper.n_trials=8")
    assert ended.status == 0, ended.err
    assert ended.out.splitlines()[-1] == "8 of 9 points were run; hydra.sweeper.n_trials=9 runs the rest"
    ended = apps.here(APP, *grid, first, "hydra.sweeper.n_trials=9")
    assert ended.status == 0, ended.err
    assert "points were run" not in ended.out
    xs, zs = seen(apps.folder / "sweep", "x"), seen(apps.folder / "sweep", "z")
    assert (xs[0], zs[0]) == (0.2, [1, 2])
    assert sorted(zip(xs, map(str, zs), strict=True)) == [
        (x, z) for x in (0.1, 0.2, 0.3) for z in ("[1, 2]", "it's", "ä")
    ]


def test_a_config_without_a_space_runs_as_often_as_it_is_told(apps: Apps) -> None:
    ended = apps.here(APP, "x=2", "hydra.sweeper.n_trials=3")
    assert ended.status == 0, ended.err
    assert seen(apps.folder / "sweep", "x") == [2.0] * 3


def test_a_failure_rate_of_one_lets_all_trials_fail(apps: Apps) -> None:
    ended = apps.here(APP, "x=1,2", "what=error", "hydra.sweeper.max_failure_rate=1.0")
    assert ended.status == 0, ended.err
    assert ended.out.splitlines()[-1] == "all 2 trials failed, as hydra.sweeper.max_failure_rate=1 allows"
    assert error_line(apps.here(APP, "x=1,2", "what=error", "hydra.sweeper.max_failure_rate=0.9")).startswith("all 2 ")


def test_a_password_is_written_nowhere(apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite takes no password and ignores this one."""
    storage = "hydra.sweeper.storage='sqlite:///file:study.db?mode=rwc&uri=true&password=geheim'"
    ended = apps.here(APP, "x=1,2", storage, "hydra.sweeper.n_trials=1")
    assert ended.status == 0, ended.err
    assert trial_folders(apps.folder / "sweep") == [0]
    written = [path for path in apps.folder.rglob("*") if path.is_file() and b"geheim" in path.read_bytes()]
    assert written == []
    assert "geheim" not in ended.out + ended.err
    monkeypatch.setattr("sys.argv", ["app.py", "-m", storage])
    assert "geheim" not in this_script(sys.argv[1:])
    ended = apps.here(APP, "x=1,2", "hydra.sweeper.storage=foo://user:geheim@host/db")
    assert ended.status == 1
    assert "foo://user@host/db cannot be opened" in error_line(ended)
    assert "geheim" not in ended.out + ended.err
