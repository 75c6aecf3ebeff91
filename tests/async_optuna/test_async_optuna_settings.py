"""What the settings of a search mean, seen from an app."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_runs import APP, Apps, error_line, load, stop_forkserver, trial_folders

from async_optuna.commands import this_script
from conftest import Finished

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


def test_an_edited_config_is_refused_unless_it_is_accepted(apps: Apps) -> None:
    """The file is edited between calls, as is that of a choice that the search goes through."""
    conf = apps.folder / "conf"
    (conf / "part").mkdir(parents=True)
    app = conf / "edited.py"
    app.write_text(
        "import hydra\n"
        "@hydra.main(version_base='1.3', config_path='.', config_name='edited')\n"
        "def main(config):\n    return config.x + config.part.size\n"
        "if __name__ == '__main__':\n    main()\n",
        encoding="utf-8",
    )

    def edit(offset: int, size: int, root: str) -> None:
        (conf / "edited.yaml").write_text(
            "defaults: [_self_, part: a, override hydra/sweeper: async_optuna]\n"
            f"x: 1\nnested: {{offset: {offset}, root: {root}, twice: '${{nested.offset}}'}}\nworkers: {size}\n"
            "started: ${now:%S%f}\nhydra: {sweep: {dir: sweep}, sweeper: {may_differ: [workers]}}\n",
            encoding="utf-8",
        )
        (conf / "part/a.yaml").write_text("size: 1\nkind: a\n", encoding="utf-8")
        (conf / "part/b.yaml").write_text(f"size: {size}\n", encoding="utf-8")

    def call(n_trials: int, *more: str) -> Finished:
        return apps.here(app, "x=range(0,9)", "part=a,b", f"hydra.sweeper.n_trials={n_trials}", *more)

    edit(0, 2, "/home/a")
    assert call(1).status == 0
    edit(0, 2, "/home/b")
    assert call(2).status == 0
    edit(5, 3, "/home/b")
    refused = call(3)
    assert error_line(refused) == (
        "study sweep was made with another config: nested.offset was 0, is 5; part.size where part=b was 2, is 3; "
        "change it back, name another hydra.sweeper.study_name, or set hydra.sweeper.accept_changes=true to go on "
        "with it"
    )
    accepted = call(3, "hydra.sweeper.accept_changes=true")
    assert accepted.status == 0, accepted.err
    assert "note: from trial 2 on nested.offset was 0, is 5; part.size where part=b was 2, is 3" in accepted.out
    assert call(4).status == 0
    changes = load(apps.folder / "sweep").user_attrs["config_changes"]
    assert [change["from_trial"] for change in changes] == [2]


def test_a_search_takes_the_trials_of_another_along(apps: Apps) -> None:
    """Wider in x, narrower in y, of more choices, and with z fixed now."""
    first = apps.here(APP, "x=range(0,3)", "y=1,2", "z=a,b", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=12")
    assert first.status == 0, first.err

    def second(name: str, source: str, *more: str) -> Finished:
        names = [f"hydra.sweeper.study_name={name}", f"hydra.sweep.dir=other/{name}"]
        arguments = ["x=interval(0,9)", "y=2,3", "z=a", "hydra.sweeper.n_trials=2", *names, *more]
        return apps.here(APP, *arguments, f"hydra.sweeper.warm_start={source}")

    ended = second("one", "sweep")
    assert ended.status == 0, ended.err
    assert "warm start: 3 trials of sweep are known to the sampler; 9 others lie outside the space" in ended.out
    assert trial_folders(apps.folder / "other/one") == [3, 4]
    assert "2 complete" in ended.out
    study = load(apps.folder / "other/one")
    known = [trial for trial in study.trials if trial.user_attrs.get("warm_start") == "sweep"]
    assert [(trial.params, trial.value) for trial in known] == [({"x": x, "y": 2}, (x - 1) ** 2 + 2) for x in (0, 1, 2)]
    again = second("one", "sweep")
    assert "warm start" not in again.out
    assert len(load(apps.folder / "other/one").trials) == 5

    table = apps.folder / "leaderboard.csv"
    table.write_text("rank,trial,state,value,x,y,z\n1,0,COMPLETE,1.5,0.5,3,a\n,1,FAIL,,0.5,2,a\n", encoding="utf-8")
    assert "warm start: 1 trials of leaderboard.csv are known" in second("two", "leaderboard.csv").out
    wrong = second("three", "swep")
    assert error_line(wrong) == "hydra.sweeper.warm_start=swep: there is no such file or folder"
    other = second("three", "sweep", "hydra.sweeper.direction=maximize")
    assert error_line(other) == "hydra.sweeper.warm_start=sweep is to minimize value, this search to maximize value"
    assert not (apps.folder / "other/three").exists()
