"""The sweeper as its users meet it: any Hydra app under --multirun."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sweep_app
import yaml
from app_runs import (
    APP,
    TOY,
    Apps,
    error_line,
    finished,
    load,
    points,
    results,
    states,
    stop_forkserver,
    trial_folders,
)
from hydra import compose, initialize
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

from async_optuna.named_classes import build_pruner, sampler_factory
from hydra_plugins.async_optuna_sweeper import config

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="this system cannot fork")

RANDOM = ["hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=0"]
GRID = "hydra/sweeper/sampler=grid"


@pytest.fixture(scope="module", autouse=True)
def _own_forkserver() -> Iterator[None]:
    stop_forkserver()
    yield
    stop_forkserver()


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Apps]:
    apps = Apps(tmp_path, monkeypatch, capfd)
    yield apps
    apps.close()


def seen(folder: Path) -> list[dict[str, Any]]:
    """The file that the app wrote in each trial."""
    return [json.loads((folder / str(n) / sweep_app.SEEN).read_text(encoding="utf-8")) for n in trial_folders(folder)]


def overrides(folder: Path) -> list[list[str]]:
    return [
        yaml.safe_load((folder / str(n) / ".hydra/overrides.yaml").read_text(encoding="utf-8"))
        for n in trial_folders(folder)
    ]


# --- The whole of it --------------------------------------------------------------------------------------------------


def test_a_sweep_from_the_shell_and_what_it_leaves(apps: Apps, environment: dict[str, str]) -> None:
    folder = apps.folder / "sweep"
    arguments = ["x=interval(-5,5)", "y=2", "hydra.sweeper.n_trials=3", *RANDOM]
    ended = apps.apart(APP, *arguments).finish()
    assert (ended.status, ended.err) == (0, "")

    study = load(folder, "app")
    assert states(study) == ["COMPLETE"] * 3
    assert trial_folders(folder) == [0, 1, 2]
    assert overrides(folder) == [["y=2", f"x={trial.params['x']}"] for trial in study.trials]
    assert [one["value"] for one in seen(folder)] == [trial.value for trial in study.trials]
    assert [one["job"] for one in seen(folder)] == [[number, str(number)] for number in range(3)]
    assert all((folder / str(number) / "sweep_app.log").is_file() for number in range(3))
    multirun = OmegaConf.load(folder / "multirun.yaml")
    assert multirun.hydra.sweeper.n_trials == 3
    assert "x=interval(-5,5)" in multirun.hydra.overrides.task

    content = results(folder)
    assert content["name"] == "optuna"
    assert content["best_value"] == study.best_value
    assert content["best_params"] == study.best_params
    assert (content["best_trial"], content["best_folder"]) == (study.best_trial.number, str(study.best_trial.number))
    assert f"Best: trial {study.best_trial.number}, value {study.best_value:.6g}" in ended.out
    assert f"  reproduce  {content['reproduce']}" in ended.out

    subprocess.run(shlex.split(content["reproduce"]), cwd=apps.folder, env=environment, check=True)
    again = json.loads((apps.folder / "single" / sweep_app.SEEN).read_text(encoding="utf-8"))
    assert again["value"] == study.best_value

    again = apps.apart(APP, *arguments).finish()
    assert (again.status, again.err) == (0, "")
    assert "3 trials, 3 already done" in again.out
    assert states(load(folder, "app")) == ["COMPLETE"] * 3
    assert trial_folders(folder) == [0, 1, 2]


def test_hydra_finds_it() -> None:
    assert "AsyncOptunaSweeper" in [cls.__name__ for cls in Plugins.instance().discover(Sweeper)]


# --- Which trials there are -------------------------------------------------------------------------------------------


def test_the_config_the_command_line_and_what_is_fixed_or_deleted(apps: Apps) -> None:
    ended = apps.here(
        APP,
        *("x=interval(0,1)", "~z", "+hydra.sweeper.params={x: 'interval(5,6)', y: 'range(3,5)', what: ''}"),
        *("hydra.sweeper.n_trials=2", *RANDOM),
    )
    assert ended.status == 0, ended.err
    for one, given in zip(seen(apps.folder / "sweep"), overrides(apps.folder / "sweep"), strict=True):
        assert 0 <= one["config"]["x"] <= 1
        assert one["config"]["y"] in (3, 4)
        assert "z" not in one["config"]
        assert sorted(text.partition("=")[0] for text in given) == ["what", "x", "y", "~z"]


def test_a_grid_is_run_in_order_and_to_its_end(apps: Apps) -> None:
    ended = apps.here(APP, "x=range(0,1,0.5)", "z=a,null", GRID, "hydra.sweeper.n_trials=9")
    assert ended.status == 0, ended.err
    assert overrides(apps.folder / "sweep") == [
        *(["x=0.0", "z=a"], ["x=0.0", "z=null"], ["x=0.5", "z=a"], ["x=0.5", "z=null"])
    ]
    assert [one["config"]["z"] for one in seen(apps.folder / "sweep")] == ["a", None, "a", None]
    assert "all 4 points of the space have been run: there is nothing left to try" in ended.out
    assert ": 4 trials" in ended.out.split("goal")[0]


def test_config_groups_and_branches(apps: Apps) -> None:
    ended = apps.here(APP, "--config-name=branched", "hydra.sweeper.n_trials=9", GRID)
    assert ended.status == 0, ended.err
    large = {"units": 64, "dropout": 0.0, "norm": True}
    models = [one["config"]["model"] for one in seen(apps.folder / "sweep")]
    assert models == [
        {"units": 8},
        large,
        large | {"units": 128, "dropout": 0.1},
        large | {"units": 128, "dropout": 0.2},
    ]
    assert shlex.split(results(apps.folder / "sweep")["reproduce"])[2:4] == ["--config-name=branched", "model=small"]


def test_the_command_line_narrows_a_branch(apps: Apps) -> None:
    fixed = ["model=large", "model.units=128"]
    ended = apps.here(APP, "--config-name=branched", "hydra.sweeper.n_trials=9", *fixed, "model.dropout=choice(0.3)")
    assert ended.status == 0, ended.err
    assert overrides(apps.folder / "sweep") == [[*fixed, "model.norm=true", "model.dropout=0.3"]]


def test_globs_of_groups(apps: Apps) -> None:
    assert apps.here(APP, "model=glob(*)", "hydra.sweeper.n_trials=2", GRID).status == 0
    assert overrides(apps.folder / "sweep") == [["model=large"], ["model=small"]]


def test_several_objectives(apps: Apps) -> None:
    directions = "hydra.sweeper.direction=[minimize,minimize]"
    ended = apps.here(
        APP, "x=range(-2,3)", "what=two", directions, "hydra.sweeper.n_trials=5", "hydra.sweeper.metric=[a,b]"
    )
    assert ended.status == 0, ended.err
    content = results(apps.folder / "sweep")
    assert content["metrics"] == ["a", "b"]
    assert "best_value" not in content
    values = [tuple(solution["values"]) for solution in content["solutions"]]
    assert sorted(values) == [(0, 4), (1, 1), (4, 0)]  # x = 1, 0, -1: nothing between is beaten, all beyond is
    assert not any(a[0] <= b[0] and a[1] <= b[1] for a in values for b in values if a != b)
    assert "3 trials that no other beats in every objective" in ended.out
    assert load(apps.folder / "sweep").metric_names == ["a", "b"]


def test_the_best_within_limits(apps: Apps) -> None:
    """Without limits y=0 were the best, by which the value rises."""
    arguments = ["y=choice(0,1,2,3)", GRID, "hydra.sweeper.n_trials=4"]
    ended = apps.here(APP, *arguments, "hydra.sweeper.constraints={size: '>=2'}")
    assert ended.status == 0, ended.err
    content = results(apps.folder / "sweep")
    assert (content["best_params"], content["counts"]["infeasible"]) == ({"y": 2}, 2)
    assert "infeasible: size is 1, at least 2 is allowed" in ended.out
    trials = load(apps.folder / "sweep", "app").trials
    assert [trial.constraints["size"] for trial in trials] == [1.0, 0.5, 0.0, -0.5]
    refused = apps.here(APP, *arguments, "hydra.sweeper.constraints={size: 2}")
    assert "hydra.sweeper.constraints.size was >=2, is <=2" in error_line(refused)


def test_a_point_is_run_with_several_seeds(apps: Apps) -> None:
    arguments = ["x=choice(1,3)", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=2", "y=5"]
    ended = apps.here(APP, *arguments, "hydra.sweeper.repeats=2", "hydra.sweeper.seed_key=y")
    assert ended.status == 0, ended.err
    folder = apps.folder / "sweep"
    assert [trial.value for trial in load(folder, "app").trials] == [5.5, 9.5]
    configs = [OmegaConf.load(folder / run / ".hydra/config.yaml") for run in ("0/y_5", "0/y_6", "1/y_5", "1/y_6")]
    assert [(config.x, config.y) for config in configs] == [(1, 5), (1, 6), (3, 5), (3, 6)]
    assert results(folder)["reproduce"].startswith("for seed in 5 6; do ")
    refused = apps.here(APP, *arguments)
    assert "hydra.sweeper.repeats is missing (was 2)" in error_line(refused)


def test_a_custom_search_space(apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(APP.parent))
    custom = "hydra.sweeper.custom_search_space=sweep_app.suggest_z"
    ended = apps.here(APP, "x=interval(-1,1)", custom, "hydra.sweeper.n_trials=3", *RANDOM)
    assert ended.status == 0, ended.err
    for one, trial in zip(seen(apps.folder / "sweep"), load(apps.folder / "sweep").trials, strict=True):
        x, z, w = (one["config"][key] for key in "xzw")
        assert min(x, 0) <= z <= max(x, 0)
        assert w in (0, 0.5)
        assert trial.params == {"x": x, "z": z, "+w": w}
        assert trial.value == (x - 1) ** 2 + w
    assert " +w=" in results(apps.folder / "sweep")["reproduce"]


def test_the_configs_own_values_and_known_good_ones_come_first(apps: Apps) -> None:
    enqueue = "hydra.sweeper.enqueue=[{x: 2, z: b},{x: 3}]"
    space = ["x=interval(-5,5)", "z=a,b", "hydra.sweeper.enqueue_defaults=true", enqueue]
    ended = apps.here(APP, *space, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=1")
    assert ended.status == 0, ended.err
    study = load(apps.folder / "sweep")
    assert [trial.params for trial in study.trials[:3]] == [
        {"x": 0.0, "z": "a"},
        {"x": 2.0, "z": "b"},
        {"x": 3.0, "z": "a"},
    ]
    assert [trial.user_attrs.get("source") for trial in study.trials] == ["defaults", "enqueued", "enqueued", None]


def test_defaults_outside_the_space_are_left_out_aloud(apps: Apps) -> None:
    ended = apps.here(APP, "x=range(5,7)", "hydra.sweeper.enqueue_defaults=true", "hydra.sweeper.n_trials=1", GRID)
    assert "the config's own values are not trial 0, for the space does not hold x=0.0" in ended.out
    assert overrides(apps.folder / "sweep") == [["x=5"]]


def test_a_seed_repeats_a_serial_sweep_and_a_longer_one_goes_on(apps: Apps) -> None:
    serial = ["x=interval(-5,5)", "z=a,b,c", "hydra.sweeper.n_jobs=1", "hydra.sweeper.sampler.seed=7"]
    for folder, counts in (("once", [3]), ("twice", [1, 3])):
        for n_trials in counts:
            ended = apps.here(APP, *serial, f"hydra.sweep.dir={folder}", f"hydra.sweeper.n_trials={n_trials}")
            assert ended.status == 0, ended.err
            assert trial_folders(apps.folder / folder) == list(range(n_trials))
    once, twice = (points(load(apps.folder / folder)) for folder in ("once", "twice"))
    assert once == twice
    assert len(set(once)) == 3


# --- Storage ----------------------------------------------------------------------------------------------------------


def test_a_database_instead_of_the_journal(apps: Apps) -> None:
    url = f"sqlite:///{apps.folder}/study.db"
    for n_trials in (1, 2):
        ended = apps.here(APP, "x=interval(0,1)", f"hydra.sweeper.storage={url}", f"hydra.sweeper.n_trials={n_trials}")
        assert ended.status == 0, ended.err
    study = optuna.load_study(study_name="app", storage=url)
    assert states(study) == ["COMPLETE"] * 2
    assert trial_folders(apps.folder / "sweep") == [0, 1]
    assert results(apps.folder / "sweep")["storage"] == url
    assert not (apps.folder / "sweep/study.journal").exists()


def test_a_folder_named_after_the_time_is_warned_of(apps: Apps) -> None:
    ended = apps.here(APP, "x=choice(1)", "hydra.sweep.dir=${now:%H-%M}", "hydra.sweeper.n_trials=1")
    assert ended.status == 0, ended.err
    assert "note: the sweep folder's name holds the time, so this search cannot be resumed" in ended.out


# --- Where trials run -------------------------------------------------------------------------------------------------


def test_jobs_may_change_into_their_folders(apps: Apps) -> None:
    ended = apps.here(APP, "x=1,2", "hydra.job.chdir=true", "hydra.sweeper.n_trials=2", GRID)
    assert ended.status == 0, ended.err
    assert [one["cwd"] for one in seen(apps.folder / "sweep")] == [str(apps.folder / "sweep" / n) for n in "01"]
    assert Path.cwd() == apps.folder


@pytest.mark.parametrize(
    ("per_gpu", "expected"),
    [pytest.param(1, ["GPU-7", "3"], marks=pytest.mark.slow), (2, ["GPU-7", "3", "GPU-7", "3"])],
)
def test_each_trial_sees_its_gpu_by_the_name_inherited(
    per_gpu: int, expected: list[str], apps: Apps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-7,3")
    count = len(expected)
    ended = apps.here(
        APP,
        *(f"x=range(0,{count})", "seconds=1.0", "hydra.sweeper.n_jobs=auto", f"hydra.sweeper.n_trials={count}"),
        *(f"hydra.sweeper.workers_per_gpu={per_gpu}", GRID),
    )
    assert ended.status == 0, ended.err
    assert f"{count} at once, on GPUs {' '.join(expected)}" in ended.out
    assert [one["environment"]["CUDA_VISIBLE_DEVICES"] for one in seen(apps.folder / "sweep")] == expected
    assert len({one["pid"] for one in seen(apps.folder / "sweep")}) == count


CLOSURE = """
import os
import hydra

def make():
    pids = []

    @hydra.main(version_base="1.3", config_path=None, config_name="app")
    def task(config):
        pids.append(os.getpid())
        return config.x

    task()
    print("pids", set(pids) == {os.getpid()}, len(pids))

import sweep_app
if __name__ == "__main__":
    make()
"""


def test_a_task_that_cannot_be_imported_runs_in_this_process(apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(APP.parent))
    (apps.folder / "closure.py").write_text(CLOSURE, encoding="utf-8")
    ended = apps.here(apps.folder / "closure.py", "x=range(0,3)", "hydra.sweeper.n_trials=5")
    assert ended.status == 0, ended.err
    assert "note: no other process can import this task, so trials run one by one in this one" in ended.out
    assert "pids True 3" in ended.out
    assert results(apps.folder / "sweep")["best_value"] == 0


def test_a_sweep_from_python(hydra_sweep_runner: Callable[..., Any], tmp_path: Path) -> None:
    values = []
    with hydra_sweep_runner(
        calling_file=str(APP),
        calling_module=None,
        task_function=lambda config: values.append(config.x) or config.x,
        config_path=None,
        config_name="app",
        overrides=["x=range(0,3)", "hydra.sweeper.n_trials=3", f"hydra.sweep.dir={tmp_path}"],
        temp_dir=tmp_path,
    ):
        assert sorted(values) == [0, 1, 2]
        assert results(tmp_path)["best_value"] == 0


def test_another_launcher_is_mentioned(apps: Apps) -> None:
    ended = apps.here(APP, "x=1", "hydra.sweeper.n_trials=1")
    assert "is not used" not in ended.out


# --- How trials end ---------------------------------------------------------------------------------------------------


def test_every_end_of_a_trial_is_told_apart(apps: Apps) -> None:
    ends = {
        "infeasible": ("PRUNED", "no shape fits"),
        "text": ("FAIL", "the task must return a number, got 'abc'"),
        "several": ("FAIL", "the task must return a number, got 2"),
        "error": ("FAIL", "RuntimeError: what is error"),
        "exit": ("FAIL", "SystemExit: 3"),
        "": ("COMPLETE", None),
    }
    what = f"what={','.join(end or chr(39) * 2 for end in ends)}"
    ended = apps.here(APP, what, GRID, "hydra.sweeper.max_failure_rate=1", "hydra.sweeper.max_retries=0")
    assert ended.status == 0, ended.err
    assert "Traceback" not in ended.err
    trials = load(apps.folder / "sweep").trials
    assert {t.params["what"]: (t.state.name, t.user_attrs.get("reason")) for t in trials} == ends
    assert [t.params["what"] for t in trials if (apps.folder / f"sweep/{t.number}/traceback.txt").exists()] == [
        "error",
        "exit",
    ]
    assert "1 complete, 1 pruned, 4 failed" in ended.out


def test_failed_trials_run_again_on_request(apps: Apps) -> None:
    arguments = ["y=choice(0,1)", GRID, "hydra.sweeper.may_differ=[what]", "hydra.sweeper.max_failure_rate=1"]
    assert apps.here(APP, *arguments, "what=error").status == 0
    assert states(load(apps.folder / "sweep", "app")) == ["FAIL", "FAIL"]
    assert apps.here(APP, *arguments, "what=''").status == 0
    assert states(load(apps.folder / "sweep", "app")) == ["FAIL", "FAIL"]
    ended = apps.here(APP, *arguments, "what=''", "hydra.sweeper.retry_failed=true")
    assert ended.status == 0, ended.err
    assert "2 failed trials run again" in ended.out
    assert states(load(apps.folder / "sweep", "app")) == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert results(apps.folder / "sweep")["counts"]["failed"] == 0


def test_too_many_failures_show_the_first_traceback(apps: Apps) -> None:
    ended = apps.here(TOY, "fail=boom", "hydra.sweeper.n_trials=3")
    assert ended.status == 1
    assert "RuntimeError: fail=boom" in ended.err
    assert "Traceback (most recent call last)" in ended.err
    assert "_impl.py" not in ended.err  # the trial's, not ours
    assert "more than hydra.sweeper.max_failure_rate=0 allows" in ended.err
    study = load(apps.folder / "outputs/sweeps/toy")
    assert {trial.user_attrs["reason"] for trial in finished(study)} == {"RuntimeError: fail=boom"}
    assert "RUNNING" not in states(study)


def test_with_all_failures_allowed_a_hopeless_sweep_ends_with_a_line(apps: Apps) -> None:
    ended = apps.here(TOY, "fail=nan", "hydra.sweeper.n_trials=2", "hydra.sweeper.max_failure_rate=1")
    assert ended.status == 0
    assert ended.out.splitlines()[-1] == "all 2 trials failed, as hydra.sweeper.max_failure_rate=1 allows"
    assert "the task returned NaN" in ended.out


def test_a_pruner_from_the_groups_ends_a_trial_early(apps: Apps) -> None:
    pruner = ["hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.upper=10"]
    ended = apps.here(TOY, "report=true", "steps=3", "x=1,9", GRID, *pruner)
    assert ended.status == 0, ended.err
    study = load(apps.folder / "outputs/sweeps/toy")
    assert states(study) == ["COMPLETE", "PRUNED"]
    assert study.trials[0].intermediate_values == {1: 1.0, 2: 0.5, 3: 1 / 3}
    assert study.trials[1].user_attrs["reason"] == "ThresholdPruner after step 1: value 65"
    assert "1 complete, 1 pruned\n" in ended.out


# --- What an app may plug in ------------------------------------------------------------------------------------------


def test_a_trial_that_is_run_again_is_given_its_predecessors_folder(apps: Apps) -> None:
    once = ["what=die once", "hydra.sweeper.n_trials=1", "hydra.sweeper.restart_key=+predecessor"]
    ended = apps.here(APP, "x=choice(1)", *once)
    assert ended.status == 0, ended.err
    folder = apps.folder / "sweep"
    assert overrides(folder)[1] == ["what=die once", "x=1", f"+predecessor='{folder / '0'}'"]
    assert seen(folder)[1]["config"]["predecessor"] == str(folder / "0")
    assert "predecessor" not in results(folder)["reproduce"]


def test_the_share_of_the_cores_as_an_override_that_may_change(apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_optuna.slots.usable_cores", lambda: 6)
    space = ["x=range(0,3)", GRID, "hydra.sweeper.threads_key=y"]
    for n_jobs, n_trials in ((2, 1), (3, 2)):
        ended = apps.here(APP, *space, f"hydra.sweeper.n_jobs={n_jobs}", f"hydra.sweeper.n_trials={n_trials}")
        assert ended.status == 0, ended.err
        assert f"{n_jobs} at once, {6 // n_jobs} CPU threads each" in ended.out
    assert [one["config"]["y"] for one in seen(apps.folder / "sweep")] == [3, 2]
    ended = apps.here(APP, *space, "y=5", "hydra.sweeper.n_trials=3")
    assert ended.status == 0, ended.err
    assert seen(apps.folder / "sweep")[2]["config"]["y"] == 5


def test_the_app_sees_every_choice_before_the_first_trial_and_pins_the_data(
    apps: Apps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(APP.parent))
    monkeypatch.setenv("DATASET", "mnist")
    more = [
        "hydra.sweeper.n_trials=1",
        "hydra.sweeper.prepare=sweep_app.prepare",
        "hydra.sweeper.report=sweep_app.report",
    ]
    assert error_line(apps.here(APP, "z=a,bad", *more)) == "z=bad: no config accepts z=bad"
    assert list(apps.folder.iterdir()) == []

    ended = apps.here(APP, "z=a,b", *more)
    assert ended.status == 0, ended.err
    assert "all about sweep" in ended.out
    monkeypatch.setenv("DATASET", "digits")
    assert error_line(apps.here(APP, "z=a,b", *more)) == (
        "study app was made on other data: dataset was mnist, is digits; name another study"
    )


def test_a_report_is_given_the_study_and_may_fail(apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(APP.parent))
    more = ["z=a,b", "hydra.sweeper.report=sweep_app.report_of_study", "hydra.sweeper.n_jobs=1"]
    ended = apps.here(APP, *more, "hydra.sweeper.n_trials=1")
    assert "all about app in sweep" in ended.out
    ended = apps.here(APP, *more, "hydra.sweeper.n_trials=2")
    assert ended.status == 0, ended.err
    assert "the report could not be made: more trials than one" in ended.err
    assert "2 complete" in ended.out


# --- Samplers and pruners of the groups -------------------------------------------------------------------------------


@pytest.fixture
def composed() -> Iterator[Callable[..., Any]]:
    def settings(*overrides: str) -> Any:
        composed = compose("app", overrides=list(overrides), return_hydra_config=True)
        return OmegaConf.to_container(composed.hydra.sweeper, resolve=False)

    with initialize(version_base="1.3", config_path=None):
        yield settings
    GlobalHydra.instance().clear()


@pytest.mark.parametrize("name", config._SAMPLERS)
def test_each_sampler_of_the_group(name: str, composed: Callable[..., Any]) -> None:
    sampler = composed(f"hydra/sweeper/sampler={name}", "hydra.sweeper.sampler.seed=3")["sampler"]
    assert sampler["_target_"] == f"optuna.samplers.{config._SAMPLERS[name][0]}"
    if name != "cmaes":
        assert sampler_factory(sampler)[1] == 3


@pytest.mark.parametrize("name", config._PRUNERS)
def test_each_pruner_of_the_group(name: str, composed: Callable[..., Any]) -> None:
    more = ["hydra.sweeper.pruner.lower=0"] if name == "threshold" else []
    pruner = build_pruner(composed(f"hydra/sweeper/pruner={name}", *more)["pruner"])
    assert (None if pruner is None else type(pruner).__name__) == config._PRUNERS[name][0]


def test_classes_outside_the_groups(composed: Callable[..., Any]) -> None:
    settings = composed(
        *("hydra.sweeper.sampler._target_=PartialFixedSampler", "hydra/sweeper/pruner=patient"),
        *(
            "+hydra.sweeper.sampler.fixed_params={x: 1}",
            "+hydra.sweeper.sampler.base_sampler={_target_: RandomSampler}",
        ),
        "hydra.sweeper.pruner.wrapped_pruner._target_=HyperbandPruner",
        "+hydra.sweeper.pruner.wrapped_pruner.min_resource=2",
    )
    make, _ = sampler_factory(settings["sampler"])
    assert make is not None
    assert type(make(None)).__name__ == "PartialFixedSampler"
    pruner = build_pruner(settings["pruner"])
    assert type(pruner._wrapped_pruner).__name__ == "HyperbandPruner"  # type: ignore[union-attr]


def test_the_defaults_are_those_of_hydra_optuna_sweeper(composed: Callable[..., Any]) -> None:
    settings = composed()
    expected = {"n_trials": 20, "n_jobs": 2, "direction": None, "max_failure_rate": 0.0, "storage": None}
    assert {key: settings[key] for key in expected} == expected
    assert settings["sampler"]["_target_"] == "optuna.samplers.TPESampler"
    assert settings["pruner"]["_target_"] is None
