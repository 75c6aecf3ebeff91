"""The loop: when a search ends, what it says, and what it leaves when it is cut short."""

import io
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
import trial_tasks
from app_runs import finished, load, results, states, stop_forkserver
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler

from async_optuna.distinct_sampler import DistinctSampler
from async_optuna.errors import SearchError
from async_optuna.executors import Executor, ProcessExecutor
from async_optuna.files import FileLock
from async_optuna.inline_executor import InlineExecutor
from async_optuna.ledger import Ledger
from async_optuna.limits import STOP_FILE, Limits
from async_optuna.results import Results
from async_optuna.search import Search
from async_optuna.signals import Stopped
from async_optuna.slot_count import SLOTS_FILE
from async_optuna.slots import Slot
from async_optuna.space import Parameter, Space
from async_optuna.storage import open_storage
from async_optuna.worker import Job

POINTS = Space((Parameter("x", FloatDistribution(0, 1)),))
THREE = Space((Parameter("z", CategoricalDistribution(["a", "b", "c"])),))


@pytest.fixture(scope="module", autouse=True)
def _own_forkserver() -> Iterator[None]:
    stop_forkserver()
    yield
    stop_forkserver()


class Searches:
    """Searches in one folder; `run` makes one call of the command."""

    def __init__(self, folder: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder = folder

    def run(
        self,
        n_trials: int,
        task: Callable[[Job], Any] | Executor,
        *,
        space: Space = POINTS,
        overrides: Sequence[str] = (),
        max_retries: int = 2,
        pruner: optuna.pruners.BasePruner | None = None,
        **limits: Any,
    ) -> None:
        storage = open_storage(None, self.folder)
        study = optuna.create_study(
            study_name="s", storage=storage, load_if_exists=True, pruner=pruner or optuna.pruners.NopPruner()
        )
        ledger = Ledger(study, space, self.folder, n_trials, max_retries)
        study.sampler = DistinctSampler(lambda seed: RandomSampler(seed=seed), 0, space, ledger.is_seen)
        executor = task if isinstance(task, ProcessExecutor | InlineExecutor) else InlineExecutor(task)
        results = Results(ledger, "study.journal", ["value"])
        Search(ledger, executor, results, Limits(**limits), lambda claim, slot: overrides or claim.overrides).run()

    @property
    def study(self) -> optuna.Study:
        return load(self.folder, "s")

    def check_nothing_is_open(self) -> None:
        assert not {"RUNNING", "WAITING"} & set(states(self.study))
        assert not (self.folder / ".controllers").exists()


@pytest.fixture
def searches(tmp_path: Path) -> Searches:
    return Searches(tmp_path)


def forked(slots: int = 2) -> ProcessExecutor:
    return ProcessExecutor(trial_tasks.do, [Slot(index) for index in range(slots)])


def x_of(job: Job) -> float:
    return float(job.overrides[0].partition("=")[2])


# --- The end ----------------------------------------------------------------------------------------------------------


def test_a_search_runs_its_trials_and_tells_of_each(searches: Searches, capsys: pytest.CaptureFixture[str]) -> None:
    searches.run(4, x_of)
    searches.check_nothing_is_open()
    values = [trial.value for trial in searches.study.trials]
    assert values == [trial.params["x"] for trial in searches.study.trials]
    assert results(searches.folder)["best_value"] == min(values)  # type: ignore[type-var]
    out = capsys.readouterr().out
    assert [line.split()[:2] for line in out.splitlines()] == [["trial", str(number)] for number in range(4)]
    assert f"trial 0  {values[0]:.6g}  best so far  (" in out


def test_a_finished_search_adds_nothing_and_a_larger_number_the_difference(searches: Searches) -> None:
    for n_trials, expected in ((3, 3), (3, 3), (2, 3), (5, 5)):
        searches.run(n_trials, x_of)
        assert len(searches.study.trials) == expected
    assert len({trial.params["x"] for trial in searches.study.trials}) == 5


def test_the_end_of_a_finite_space_is_one_line(searches: Searches, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        searches.run(10, lambda job: 1.0, space=THREE)
        last = capsys.readouterr().out.splitlines()[-1]
        assert last == "all 3 points of the space have been run: there is nothing left to try"
        assert states(searches.study) == ["COMPLETE"] * 3


def test_the_time_budget_ends_it_in_order(
    searches: Searches, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0

    def take_ten_seconds(job: Job) -> float:
        nonlocal now
        now += 10
        return 1.0

    monkeypatch.setattr("time.monotonic", lambda: now)
    searches.run(100, take_ten_seconds, timeout_seconds=15)
    assert states(searches.study) == ["COMPLETE"] * 2
    out = capsys.readouterr().out
    assert "the time budget of 15 s is used up; the same command goes on" in out
    assert "about 16 min 40 s in all" in out  # told after the first of the 100
    searches.check_nothing_is_open()


def test_the_stop_file_ends_it_in_order(searches: Searches, capsys: pytest.CaptureFixture[str]) -> None:
    def stop_at_two(job: Job) -> float:
        if job.number == 2:
            (searches.folder / STOP_FILE).touch()
        return 1.0

    searches.run(100, stop_at_two)
    assert states(searches.study) == ["COMPLETE"] * 3
    assert f"stopped by {searches.folder / STOP_FILE}; remove it to go on" in capsys.readouterr().out
    searches.check_nothing_is_open()


def test_a_number_in_a_file_pauses_it(searches: Searches, capsys: pytest.CaptureFixture[str]) -> None:
    file = searches.folder / SLOTS_FILE
    file.write_text("0", encoding="utf-8")
    timer = threading.Timer(1, file.unlink)
    timer.start()
    searches.run(2, x_of)
    timer.join()
    assert states(searches.study) == ["COMPLETE"] * 2
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert (first, second) == (f"slots   paused; another number in {file} goes on", "slots   1 at once")


def test_running_trials_may_finish_when_the_time_is_up(searches: Searches) -> None:
    searches.run(100, forked(), overrides=["wait", "0.6"], timeout_seconds=0.1)
    assert set(states(searches.study)) == {"COMPLETE"}
    assert len(searches.study.trials) <= 2


def test_it_ends_when_nothing_gets_better(searches: Searches, capsys: pytest.CaptureFixture[str]) -> None:
    values = {0: 3.0, 1: 2.0, 2: 5.0, 3: 1.0}
    searches.run(100, lambda job: values.get(job.number, 9.0), patience=3)
    assert len(searches.study.trials) == 7
    expected = (
        "none of the last 3 trials was better than trial 3; the same command with more than hydra.sweeper.patience=3"
    )
    assert expected in capsys.readouterr().out
    searches.run(100, lambda job: 9.0, patience=5)  # what earlier calls found counts
    assert len(searches.study.trials) == 9
    searches.check_nothing_is_open()


def test_it_ends_when_the_trials_have_used_up_their_hours(
    searches: Searches, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0

    def take_a_quarter(job: Job) -> float:
        nonlocal now
        now += 900
        return 1.0

    monkeypatch.setattr("time.perf_counter", lambda: now)
    searches.run(100, take_a_quarter, budget_hours=0.5)
    assert len(searches.study.trials) == 2
    assert "the trials have used up hydra.sweeper.budget_hours=0.5" in capsys.readouterr().out
    searches.run(100, take_a_quarter, budget_hours=0.6)
    assert len(searches.study.trials) == 3


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"patience": 0}, "hydra.sweeper.patience must be positive, got 0"),
        ({"budget_hours": -1.0}, "hydra.sweeper.budget_hours must be positive, got -1.0"),
        ({"timeout_seconds": float("nan")}, "hydra.sweeper.timeout_seconds must be positive, got nan"),
        ({"no_report_seconds": float("nan")}, "hydra.sweeper.no_report_seconds must not be negative, got nan"),
        ({"no_report_seconds": -1.0}, "must not be negative, got -1.0; 0 means no limit"),
        ({"max_failure_rate": 2.0}, "must be between 0 and 1, got 2.0"),
    ],
)
def test_limits_that_cannot_be_are_refused(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        Limits(**limits).check()
    with pytest.raises(SearchError, match="there are several objectives"):
        Limits(patience=3).check(num_objectives=2)


# --- Failures ---------------------------------------------------------------------------------------------------------


def fail_from(number: int) -> Callable[[Job], float]:
    def task(job: Job) -> float:
        if job.number >= number:
            raise RuntimeError("no more")
        return 1.0

    return task


def test_by_default_not_one_may_fail(searches: Searches, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SearchError) as told:
        searches.run(9, fail_from(2))
    assert str(told.value) == (
        "1 of 3 trials failed, more than hydra.sweeper.max_failure_rate=0 allows; "
        f"the first: trial 2: RuntimeError: no more ({searches.folder / '2'})"
    )
    assert "Traceback" in capsys.readouterr().err
    assert states(searches.study) == ["COMPLETE", "COMPLETE", "FAIL"]
    assert results(searches.folder)["counts"]["failed"] == 1
    searches.check_nothing_is_open()


@pytest.mark.parametrize(("rate", "first_failure", "expected"), [(0.5, 2, 10), (0.5, 8, 17), (0.9, 2, 20)])
def test_the_rate_is_looked_at_from_the_tenth_trial_on(
    rate: float, first_failure: int, expected: int, searches: Searches
) -> None:
    if expected < 20:
        with pytest.raises(SearchError, match=f"{expected - first_failure} of {expected} trials failed, more than"):
            searches.run(20, fail_from(first_failure), max_failure_rate=rate)
    else:
        searches.run(20, fail_from(first_failure), max_failure_rate=rate)
    assert len(searches.study.trials) == expected


def test_an_all_failed_search_is_an_error(searches: Searches) -> None:
    with pytest.raises(SearchError, match="all 3 trials failed; the first: trial 0: RuntimeError: no more"):
        searches.run(3, fail_from(0), max_failure_rate=0.9)
    searches.check_nothing_is_open()


def test_too_many_failures_end_what_else_is_running(searches: Searches) -> None:
    def describe(claim: Any, slot: Slot) -> list[str]:
        return ["fail"] if claim.number == 1 else ["wait"]

    study = optuna.create_study(study_name="s", storage=open_storage(None, searches.folder))
    ledger = Ledger(study, POINTS, searches.folder, 5)
    study.sampler = DistinctSampler(lambda seed: RandomSampler(seed=seed), 0, POINTS, ledger.is_seen)
    with pytest.raises(SearchError, match="1 of 1 trials failed"):
        Search(ledger, forked(), Results(ledger, "", ["value"]), Limits(), describe).run()
    assert sorted(states(searches.study)) == ["FAIL", "FAIL", "WAITING"]  # the other one's point waits for a next call
    assert [trial.number for trial in finished(searches.study)] == [1]


def test_a_dying_process_is_retried_while_the_other_slot_goes_on(
    searches: Searches, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SearchError, match="all 2 trials failed"):
        searches.run(2, forked(), overrides=["kill"], max_failure_rate=0.9, max_retries=1)
    assert states(searches.study) == ["FAIL"] * 4
    assert [trial.user_attrs.get("retry_of") for trial in searches.study.trials[2:]] in ([0, 1], [1, 0])
    points = [trial.params["x"] for trial in searches.study.trials]
    assert sorted(points[:2]) == sorted(points[2:])
    assert {trial.user_attrs["reason"] for trial in finished(searches.study)} == {
        "its process was killed by signal 9 (2 times; no retry left)"
    }
    out = capsys.readouterr().out
    assert out.count("its process was killed by signal 9; will be run again") == 2
    assert out.count("no retry left") == 2


def test_a_senseless_report_fails_its_trial_alone(searches: Searches) -> None:
    with pytest.raises(SearchError, match="all 2 trials failed; the first: trial .: ValueError: could not convert"):
        searches.run(2, forked(), overrides=["report", "abc"], max_failure_rate=0.9)


def test_reports_prune(searches: Searches, capsys: pytest.CaptureFixture[str]) -> None:
    pruner = optuna.pruners.ThresholdPruner(upper=5)
    searches.run(2, forked(), overrides=["report", "4", "6", "1"], pruner=pruner)
    for trial in searches.study.trials:
        assert (trial.state.name, trial.intermediate_values) == ("PRUNED", {1: 4.0, 2: 6.0})
        assert trial.user_attrs["reason"] == "ThresholdPruner after step 2: value 6"
    assert "trial 0  pruned at step 2  6  (" in capsys.readouterr().out


# --- Failures from outside --------------------------------------------------------------------------------------------


class Outside:
    """A task that misses its data for a while, or always at some points."""

    def __init__(self, ends_after: int = 0, bad_trial: int | None = None) -> None:
        self.num_failed, self.ends_after, self.bad_trial, self.bad_point = 0, ends_after, bad_trial, -1.0

    def __call__(self, job: Job) -> float:
        if job.number == self.bad_trial:
            self.bad_point = x_of(job)
        if self.num_failed < self.ends_after or x_of(job) == self.bad_point:
            self.num_failed += 1
            raise FileNotFoundError(2, "No such file or directory", "/data/mnist")
        return x_of(job)


@pytest.fixture
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("async_optuna.external_failures._LONGEST_PAUSE", 0.0)
    monkeypatch.setattr("async_optuna.search._POLL_SECONDS", 0.0)


@pytest.mark.usefixtures("_without_pauses")
@pytest.mark.parametrize("n_trials", [2, 6])
def test_an_outage_uses_up_no_trial(n_trials: int, searches: Searches, capsys: pytest.CaptureFixture[str]) -> None:
    searches.run(n_trials, Outside(ends_after=4))
    searches.check_nothing_is_open()
    assert results(searches.folder)["counts"] == {
        **{"complete": n_trials, "pruned": 0, "failed": 0, "interrupted": 4, "running": 0}
    }
    points = [trial.params["x"] for trial in searches.study.trials]
    assert set(points) == {trial.params["x"] for trial in finished(searches.study)}
    assert len(re.findall(r"interrupted: .*; does not count and will be run again", capsys.readouterr().out)) == 4


@pytest.mark.usefixtures("_without_pauses")
@pytest.mark.parametrize("bad_trial", [1, 4])
def test_a_point_that_misses_its_own_file_fails_in_the_end(bad_trial: int, searches: Searches) -> None:
    task = Outside(bad_trial=bad_trial)
    searches.run(5, task, max_failure_rate=0.5)
    searches.check_nothing_is_open()
    assert task.num_failed == 3
    (failed,) = [trial for trial in finished(searches.study) if trial.state.name == "FAIL"]
    assert failed.params["x"] == task.bad_point
    assert failed.user_attrs["reason"].endswith("'/data/mnist' (3 times; no retry left)")
    assert len(finished(searches.study)) == 5


@pytest.mark.usefixtures("_without_pauses")
def test_an_outage_without_end_ends_the_search_and_the_same_command_goes_on(searches: Searches) -> None:
    with pytest.raises(SearchError, match="10 trials in a row failed .*'/data/mnist'; none of them counts"):
        searches.run(12, Outside(ends_after=10))
    assert finished(searches.study) == []
    lost = {trial.params["x"] for trial in searches.study.trials}
    searches.run(12, x_of)
    searches.check_nothing_is_open()
    assert len(finished(searches.study)) == 12
    assert lost < {trial.params["x"] for trial in finished(searches.study)}


# --- Signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_a_trial_of_this_process(signum: signal.Signals, searches: Searches) -> None:
    def task(job: Job) -> float:
        if job.number == 1:
            os.kill(os.getpid(), signum)
            time.sleep(5)
        return 1.0

    before = signal.getsignal(signum)
    if before == signal.SIG_IGN:
        pytest.skip("under nohup")
    with pytest.raises(Stopped) as stopped:
        searches.run(3, task)
    assert stopped.value.signum == signum
    assert signal.getsignal(signum) is before
    assert states(searches.study) == ["COMPLETE", "FAIL", "WAITING"]
    assert searches.study.trials[1].user_attrs["reason"] == "the search was stopped"
    searches.run(3, lambda job: 1.0)
    searches.check_nothing_is_open()
    assert len(finished(searches.study)) == 3
    assert searches.study.trials[2].params == searches.study.trials[1].params


@pytest.mark.parametrize("task", ["wait", "untidy"])
def test_a_signal_while_processes_run(task: str, searches: Searches) -> None:
    def interrupt() -> None:
        while not (searches.folder / "1" / trial_tasks.LEFT).exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        searches.run(3, forked(), overrides=[task])
    thread.join()
    assert time.monotonic() - began < 10
    assert sorted(states(searches.study)) == ["FAIL", "FAIL", "WAITING", "WAITING"]
    assert finished(searches.study) == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_reaches_a_trial_first_uses_no_retry(
    signum: signal.Signals, searches: Searches, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    def interrupt() -> None:
        left = searches.folder / "0" / trial_tasks.LEFT
        while not left.exists():
            time.sleep(0.01)
        os.kill(json.loads(left.read_text(encoding="utf-8"))[0], signal.SIGTERM)
        time.sleep(0.2)
        os.kill(os.getpid(), signum)

    if signal.getsignal(signum) == signal.SIG_IGN:
        pytest.skip("under nohup")
    thread = threading.Thread(target=interrupt)
    thread.start()
    if signum == signal.SIGHUP:  # the terminal was closed
        monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(Stopped):
        searches.run(2, forked(), overrides=["wait"])
    thread.join()
    lost = searches.study.trials[0]
    assert (lost.user_attrs["reason"], lost.user_attrs.get("retries", 0)) == ("the search was stopped", 0)
    assert results(searches.folder)["counts"]["running"] == 0


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"trial_timeout_seconds": 0.3}, "it took longer than hydra.sweeper.trial_timeout_seconds=0.3 allows"),
        ({"no_report_seconds": 0.3}, "it hung: no report for "),
    ],
)
def test_a_trial_that_hangs_has_failed_and_the_search_goes_on(
    limits: dict[str, float], reason: str, searches: Searches
) -> None:
    with pytest.raises(SearchError, match=f"all 1 trials failed; the first: trial 0: {reason}"):
        searches.run(1, forked(1), overrides=["hold"], max_failure_rate=0.9, **limits)
    searches.check_nothing_is_open()


def test_a_trial_that_outlives_its_search_is_waited_for_with_a_word(
    searches: Searches, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(None, searches.folder))
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    trial.set_user_attr("owner", "gone")
    lock = FileLock(searches.folder / "0")
    lock.path.mkdir()
    lock.acquire()
    monkeypatch.setattr("async_optuna.search._GONE_SECONDS", 0.1)
    timer = threading.Timer(1.5, lock.release)
    timer.start()
    searches.run(1, x_of)
    timer.join()
    assert "trial 0  still runs in" in capsys.readouterr().out
    assert states(searches.study) == ["FAIL", "COMPLETE"]


# --- What a claim that goes wrong leaves ------------------------------------------------------------------------------


def test_a_folder_in_the_way_ends_it_without_a_running_trial(searches: Searches) -> None:
    (searches.folder / "1").mkdir()
    with pytest.raises(SearchError, match="1 already exists, but trial 1 is new"):
        searches.run(3, x_of)
    searches.check_nothing_is_open()
