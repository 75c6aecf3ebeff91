"""Several runs of a point as one trial."""

import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from app_runs import finished, load, results, states
from optuna.distributions import CategoricalDistribution
from optuna.pruners import BasePruner, MedianPruner

from async_optuna import trial
from async_optuna.distinct_sampler import DistinctSampler
from async_optuna.errors import SearchError
from async_optuna.inline_executor import InlineExecutor
from async_optuna.ledger import Ledger
from async_optuna.limits import Limits
from async_optuna.named_classes import build_pruner
from async_optuna.outcome import Outcome
from async_optuna.repeats import Repeats
from async_optuna.results import Results
from async_optuna.search import Search
from async_optuna.signals import Stopped
from async_optuna.space import Parameter, Space
from async_optuna.storage import open_storage
from async_optuna.worker import Job

WILCOXON = build_pruner({"_target_": "WilcoxonPruner"})  # which is experimental in Optuna's eyes

Task = Callable[[Job], Any]
POINTS = Space((Parameter("x", CategoricalDistribution([10.0, 20.0])),), {"seed": "seed=4"})


def numbers(job: Job) -> dict[str, float]:
    """The point and the seed that a run was given."""
    return {key: float(value) for key, _, value in (override.partition("=") for override in job.overrides)}


class Searches:
    """Searches in one folder, with three seeds a point."""

    def __init__(self, folder: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder = folder
        self.runs: list[tuple[str, float, float]] = []

    def run(self, task: Task, n_trials: int = 2, seeds: int = 3, pruner: BasePruner | None = None) -> None:
        def noted(job: Job) -> Any:
            given = numbers(job)
            self.runs.append((str(job.folder.relative_to(self.folder)), given["x"], given["seed"]))
            return task(job)

        study = optuna.create_study(
            study_name="s",
            storage=open_storage(None, self.folder),
            load_if_exists=True,
            pruner=pruner or optuna.pruners.NopPruner(),
        )
        ledger = Ledger(study, POINTS, self.folder, n_trials)
        study.sampler = DistinctSampler(None, 0, POINTS, ledger.is_seen)
        repeats = Repeats.of(seeds, "seed", "4", ["x"])
        search_results = Results(ledger, "study.journal", ["value"], seed_key=repeats.key)
        limits = Limits(max_failure_rate=0.9)
        Search(
            ledger,
            InlineExecutor(noted),
            search_results,
            limits,
            lambda claim, slot: claim.overrides,
            repeats=repeats,
        ).run()

    @property
    def study(self) -> optuna.Study:
        return load(self.folder, "s")


@pytest.fixture
def searches(tmp_path: Path) -> Searches:
    return Searches(tmp_path)


def value_of(job: Job) -> float:
    """The point plus 0, 1 or 5."""
    given = numbers(job)
    return given["x"] + {4: 0, 5: 1, 6: 5}[int(given["seed"])]


def with_metric(job: Job) -> float:
    running = trial.current()
    assert running is not None
    assert running.report(1e9, 1) is None  # an epoch's value means nothing to the pruner
    running.set_metric("size", numbers(job)["seed"])
    return value_of(job)


def test_a_trial_is_the_mean_of_its_runs(searches: Searches) -> None:
    searches.run(with_metric)
    assert searches.runs == [
        (f"{number}/seed_{seed}", x, seed) for number, x in ((0, 10.0), (1, 20.0)) for seed in (4, 5, 6)
    ]
    first, second = searches.study.trials
    assert (first.value, second.value) == (12.0, 22.0)
    assert first.user_attrs["repeat_values"] == [10.0, 11.0, 15.0]
    assert first.user_attrs["repeat_sd"] == pytest.approx(7**0.5)
    assert first.user_attrs["repeat_seeds"] == [4, 5, 6]
    assert (first.user_attrs["folder"], first.user_attrs["metric:size"]) == ("0/seed_4", 5.0)
    assert first.intermediate_values == {1: 10.0, 2: 11.0, 3: 15.0}
    content = results(searches.folder)
    assert (content["best_value"], content["best_folder"]) == (12.0, "0/seed_4")
    words = shlex.split(content["reproduce"])
    assert words[:5] == ["for", "seed", "in", "4", "5"]
    assert words[-3:] == ["x=10.0", "seed=$seed;", "done"]


def test_a_trial_can_be_pruned_between_its_runs(searches: Searches) -> None:
    searches.run(value_of, pruner=MedianPruner(n_startup_trials=1))
    second = searches.study.trials[1]
    assert states(searches.study) == ["COMPLETE", "PRUNED"]
    assert second.intermediate_values == {1: 20.0}
    assert second.user_attrs["repeat_values"] == [20.0]
    assert "MedianPruner after step 1" in second.user_attrs["reason"]
    assert len(searches.runs) == 4


def test_the_wilcoxon_test_compares_seed_by_seed(searches: Searches) -> None:
    searches.run(lambda job: sum(numbers(job).values()), seeds=6, pruner=WILCOXON)
    assert states(searches.study) == ["COMPLETE", "PRUNED"]
    assert len(searches.study.trials[1].intermediate_values) == 4


@pytest.mark.parametrize(("mistake", "state"), [(RuntimeError("no"), "FAIL"), (optuna.TrialPruned("no"), "PRUNED")])
def test_a_run_that_is_not_complete_ends_the_trial(mistake: Exception, state: str, searches: Searches) -> None:
    def task(job: Job) -> float:
        if numbers(job) == {"x": 20.0, "seed": 5.0}:
            raise mistake
        return value_of(job)

    searches.run(task)
    assert states(searches.study) == ["COMPLETE", state]
    ended = searches.study.trials[1]
    assert ended.user_attrs["reason"].startswith("seed_5: ")
    assert (ended.user_attrs["repeat_values"], ended.user_attrs["folder"]) == ([20.0], "1/seed_5")


def test_a_trial_that_was_stopped_goes_on_with_the_runs_that_are_left(searches: Searches) -> None:
    def stopped(job: Job) -> float:
        if numbers(job) == {"x": 10.0, "seed": 5.0}:
            os.kill(os.getpid(), signal.SIGTERM)
        return value_of(job)

    with pytest.raises(Stopped):
        searches.run(stopped)
    assert finished(searches.study) == []
    searches.run(value_of)
    runs = [(x, seed) for _, x, seed in searches.runs]
    assert runs == [(10.0, 4), (10.0, 5), *((10.0, seed) for seed in (5, 6)), *((20.0, seed) for seed in (4, 5, 6))]
    again = searches.study.trials[1]
    assert (again.value, again.user_attrs["repeat_values"]) == (12.0, [10.0, 11.0, 15.0])
    assert (searches.folder / "1/seed_4/trial.json").is_file()
    assert again.intermediate_values == {1: 10.0, 2: 11.0, 3: 15.0}


def test_runs_that_were_all_finished_before_a_kill_are_not_repeated(tmp_path: Path) -> None:
    repeats = Repeats.of(2, "trainer.seed", "0", [])
    for folder in ("old/seed_0", "old/seed_1", "new"):
        (tmp_path / folder).mkdir(parents=True)
    Outcome("COMPLETE", [1.0], seconds=2.0).write(tmp_path / "old/seed_0")
    Outcome("COMPLETE", [3.0], seconds=2.0).write(tmp_path / "old/seed_1")
    runs = repeats.begin(tmp_path / "new", tmp_path / "old")
    assert not runs.is_open
    assert [outcome.values for outcome in runs.outcomes] == [[1.0], [3.0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, "seed", "0", []), "repeats must be at least 1, got 0"),
        ((3, None, None, []), "repeats=3 needs hydra.sweeper.seed_key"),
        ((3, "seed", "0", ["seed"]), "give seed one value"),
        ((3, "seed", None, []), "expected a key with a whole number, got None"),
        ((3, "seed", "abc", []), "expected a key with a whole number, got abc"),
    ],
)
def test_settings_that_cannot_be(arguments: tuple[int, Any, Any, list[str]], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        Repeats.of(*arguments)


def test_the_wilcoxon_test_needs_repeats_and_enough_of_them() -> None:
    with pytest.raises(SearchError, match="pruner=wilcoxon compares repeats of a point"):
        Repeats().check_pruner(WILCOXON)
    assert "before its run 4" in Repeats.of(4, "seed", "0", []).check_pruner(WILCOXON)
    assert Repeats.of(5, "seed", "0", []).check_pruner(WILCOXON) == ""
    assert Repeats().check_pruner(MedianPruner()) == ""
