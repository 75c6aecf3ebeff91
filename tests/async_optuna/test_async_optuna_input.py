"""Bad input: one clear line, exit status 1, before any trial and with nothing on disk."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_runs import APP, Apps, error_line, load, states, stop_forkserver, trial_folders

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


MEDIAN = "hydra/sweeper/pruner=median"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["x=interval(2,1)"], "x=interval(2,1): the interval is empty, 2.0 is larger than 1.0"),
        (["x=tag(log,interval(0,1))"], "x=tag(log,interval(0,1)): a logarithmic interval must begin above 0, got 0.0"),
        (["hydra.sweeper.n_jobs=0"], "hydra.sweeper.n_jobs must be auto or at least 1, got 0"),
        (["hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials must be at least 1, got 0"),
        (["hydra.sweeper.timeout_seconds=0"], "hydra.sweeper.timeout_seconds must be positive, got 0"),
        (["hydra.sweeper.max_failure_rate=2"], "hydra.sweeper.max_failure_rate must be between 0 and 1, got 2"),
        (["hydra.sweeper.direction=[]"], "hydra.sweeper.direction must be minimize or maximize, or a list of them"),
        (
            ["hydra.sweeper.direction=[minimize,minimize]", "hydra.sweeper.metric=[a,a]"],
            "hydra.sweeper.metric names a twice; each objective needs a name of its own",
        ),
        (["hydra.sweep.subdir=abc"], "hydra.sweep.subdir=abc: a search names each trial's folder after its number"),
        (["hydra.sweeper.metric=[a,b]"], "hydra.sweeper.metric names 2 objectives, hydra.sweeper.direction 1"),
        (
            ["hydra.sweeper.direction=[minimize,minimize]", MEDIAN],
            "a pruner compares one number, but there are several",
        ),
        (["hydra.sweeper.storage=foo://bar"], "hydra.sweeper.storage=foo://bar cannot be opened"),
        (["hydra.sweeper.storage=sqlite:////nowhere/x.db"], "unable to open database file"),
        (["hydra.sweep.dir=/dev/null/sweep"], "cannot use /dev/null/sweep: Not a directory; hydra.sweep.dir= names"),
        (["hydra.sweeper.sampler._target_=TPESample"], "did you mean TPESampler?"),
        (
            ["hydra.sweeper.sampler._target_=os.system"],
            "expected a class derived from optuna's BaseSampler, got os.sys",
        ),
        (["+hydra.sweeper.sampler.n_trials=1"], "hydra.sweeper.sampler.n_trials: TPESampler has no such argument"),
        ([MEDIAN, "+hydra.sweeper.pruner.n_warmup_step=1"], "did you mean n_warmup_steps?"),
        (
            ["x=1"],
            "there is nothing to search: neither hydra.sweeper.params nor the command line gives any key several",
        ),
        (["hydra.sweeper.study_name=None"], "the study has no name: give hydra.sweeper.study_name="),
        (["hydra.sweeper.study_name=null", "hydra.sweep.dir=sweeps/None"], "the study has no name"),
        (["hydra/sweeper/sampler=grid", "x=interval(0,1)"], "needs a finite space: give choices or ranges instead of"),
        (["hydra.sweeper.enqueue=[{xx: 1}]"], "hydra.sweeper.enqueue: xx is not in the space; did you mean x?"),
        (["hydra.sweeper.enqueue=[{x: 9}]"], "hydra.sweeper.enqueue: the space does not hold x=9"),
        (
            ["hydra.sweeper.custom_search_space=sweep_app.nothing"],
            "hydra.sweeper.custom_search_space=sweep_app.nothing: ",
        ),
    ],
)
def test_one_line_and_nothing_on_disk(arguments: list[str], expected: str, apps: Apps) -> None:
    ended = apps.here(APP, "x=1,2", *arguments)
    assert ended.status == 1
    assert expected in error_line(ended)
    assert list(apps.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["xx=1,2"], "Could not override 'xx'"),
        (["model.unit=1,2"], "Could not override 'model.unit'"),
        (["model=small,large", "model.norm=true,false"], "Could not override 'model.norm'"),
        (["model=small,tiny"], "Could not find 'model/tiny'"),
        (["+hydra.sweeper.params.xx='interval(0,1)'"], "Could not override 'xx'"),
    ],
)
def test_unknown_keys(arguments: list[str], expected: str, apps: Apps) -> None:
    """The wording is Hydra's; an app that words it better, as ours does, gets to."""
    ended = apps.here(APP, *arguments)
    assert ended.status == 1
    assert expected in ended.err
    assert "Traceback" not in ended.err
    assert list(apps.folder.iterdir()) == []


def test_a_package_that_is_missing(apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_optuna.named_classes.find_spec", lambda name: None)
    ended = apps.here(APP, "x=1,2", "hydra/sweeper/sampler=cmaes")
    assert error_line(ended) == "hydra.sweeper.sampler: CmaEsSampler needs another package: pip install cmaes"
    assert list(apps.folder.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written(apps: Apps) -> None:
    apps.folder.chmod(0o555)
    try:
        ended = apps.here(APP, "x=1,2")
    finally:
        apps.folder.chmod(0o755)
    assert "Permission denied; hydra.sweep.dir= names another folder" in error_line(ended)


# --- An existing study ------------------------------------------------------------------------------------------------


@pytest.fixture
def study(apps: Apps) -> Path:
    """The folder of a finished study of two trials."""
    ended = apps.here(APP, "x=range(0,2)", "z=a", "hydra.sweeper.n_trials=2", "hydra.sweeper.metric=height")
    assert ended.status == 0, ended.err
    return apps.folder / "sweep"


def test_another_search_in_the_folder_of_a_study(study: Path, apps: Apps) -> None:
    """All in one test, for each needs the study and none may change it."""
    same = {"x": "x=range(0,2)", "z": "z=a", "metric": "hydra.sweeper.metric=height"}
    other = "; change it back, or name another hydra.sweeper.study_name"
    cases = {
        ("x", "x=interval(0,1)"): (f"study app is another search: x was int(interval(0, 1)), is interval(0, 1){other}"),
        ("z", "y=2"): f"study app is another search: z is missing (was a); y is new (2){other}",
        ("direction", "hydra.sweeper.direction=maximize"): (
            "study app is to minimize, not to maximize; name another study"
        ),
        ("name", "hydra.sweeper.study_name=other"): (
            f"{study} holds trials of another study; name another hydra.sweeper.study_name or hydra.sweep.dir"
        ),
    }
    before = sorted((path, path.stat().st_mtime_ns) for path in study.rglob("*") if path.is_file())
    for (replaced, argument), expected in cases.items():
        ended = apps.here(APP, *{**same, replaced: argument}.values(), "hydra.sweeper.n_trials=5")
        assert error_line(ended) == expected
    assert sorted((path, path.stat().st_mtime_ns) for path in study.rglob("*") if path.is_file()) == before

    (study / "STOP").touch()
    ended = apps.here(APP, *same.values(), "hydra.sweeper.n_trials=5")
    assert error_line(ended).endswith("sweep/STOP asks every search here to stop; remove it to go on")
    (study / "STOP").unlink()

    journal = study / "study.journal"
    whole = journal.read_bytes()
    first, rest = whole.split(b"\n", 1)
    journal.write_bytes(first + b"\n" + rest.replace(b'{"op_code"', b'{"op_c', 3))
    ended = apps.here(APP, *same.values(), "hydra.sweeper.n_trials=5")
    assert f"{journal} is damaged (" in error_line(ended)
    journal.write_bytes(whole + whole[:40])
    ended = apps.here(APP, *same.values(), "hydra.sweeper.n_trials=2")
    assert ended.status == 0, ended.err
    assert [copy.read_bytes() for copy in study.glob("study.journal.torn-*")] == [whole[:40]]
    assert states(load(study)) == ["COMPLETE"] * 2
    assert trial_folders(study) == [0, 1]


def test_a_folder_with_trials_but_no_study(apps: Apps) -> None:
    (apps.folder / "sweep/3").mkdir(parents=True)
    ended = apps.here(APP, "x=1,2")
    assert "holds trials of another study" in error_line(ended)
    assert trial_folders(apps.folder / "sweep") == [3]
    assert not (apps.folder / "sweep/study.journal").exists()


def test_a_database_that_is_gone_before_the_search_is_one_line(apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    class OperationalError(Exception):
        pass

    def learn(*_: object) -> None:
        raise RuntimeError("cannot commit") from OperationalError("server closed the connection\nunexpectedly")

    monkeypatch.setattr("async_optuna.overtime.Overtime.learn", learn)
    ended = apps.here(APP, "x=interval(0,1)")
    expected = "the study cannot be reached (server closed the connection); the same command goes on once that is over"
    assert error_line(ended) == expected
