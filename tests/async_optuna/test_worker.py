"""The outcome of a task is recognised and written into its file."""

import re
from pathlib import Path

import pytest
import trial_tasks

from async_optuna import trial
from async_optuna.constraints import Constraints
from async_optuna.outcome import FILE, Outcome
from async_optuna.worker import TRACEBACK, Job, run
from conftest import PROJECT


def outcome_of(
    folder: Path,
    *overrides: str,
    num_values: int = 1,
    ask: trial.Report = lambda value, step: None,
    limits: Constraints | None = None,
) -> Outcome:
    outcome = run(trial_tasks.do, Job(0, overrides, folder, num_values, limits=limits or Constraints()), ask)
    assert Outcome.read(folder) == outcome
    assert trial.current() is None
    return outcome


@pytest.mark.parametrize(
    ("returned", "num_values", "values"),
    [
        ("1.5", 1, [1.5]),
        ("3", 1, [3.0]),
        ("True", 1, [1.0]),
        ("[1.5]", 1, [1.5]),
        ("inf", 1, [float("inf")]),
        ("(1, 2)", 2, [1.0, 2.0]),
        ("[1, 2, 3]", 3, [1.0, 2.0, 3.0]),
    ],
)
def test_numbers_complete_a_trial(returned: str, num_values: int, values: list[float], tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, "give", returned, num_values=num_values)
    assert (outcome.state, outcome.values, outcome.reason) == ("COMPLETE", values, "")
    assert 0 <= outcome.seconds < 5
    assert not (tmp_path / TRACEBACK).exists()


@pytest.mark.parametrize(
    ("returned", "num_values", "reason"),
    [
        ("None", 1, "the task must return a number, got None"),
        ("'abc'", 1, "the task must return a number, got 'abc'"),
        ("{}", 1, "the task must return a number, got {}"),
        ("nan", 1, "the task returned NaN (nan)"),
        ("(1, 2)", 1, "the task must return a number, got 2"),
        ("1", 2, "the task must return 2 numbers, got 1"),
        ("(1, None)", 2, "the task must return 2 numbers, got (1, None)"),
        ("(1, nan)", 2, "the task returned NaN ((1, nan))"),
    ],
)
def test_anything_else_fails_it(returned: str, num_values: int, reason: str, tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, "give", returned, num_values=num_values)
    assert (outcome.state, outcome.values, outcome.reason) == ("FAIL", None, reason)


def test_an_exception_fails_it_and_leaves_its_traceback(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, "fail")
    assert (outcome.state, outcome.reason) == ("FAIL", "RuntimeError: this went wrong")
    text = (tmp_path / TRACEBACK).read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in text
    assert "trial_tasks.py" in text
    assert text.rstrip().endswith("and that")


def test_no_reason_is_longer_than_anybody_reads(tmp_path: Path) -> None:
    for task in (("fail_at_length",), ("give", "'x' * 2_000_000")):
        outcome = outcome_of(tmp_path, *task)
        assert outcome.state == "FAIL"
        assert "xxx" in outcome.reason
        assert "characters)" in outcome.reason
        assert len(outcome.reason) < 600


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (("prune", "too slow"), "too slow"),
        (("prune",), "the task said so"),
        (("impossible",), "a kernel of 9 does not fit"),
    ],
)
def test_what_the_task_gives_up_is_pruned(task: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, *task)
    assert (outcome.state, outcome.reason) == ("PRUNED", reason)
    assert not (tmp_path / TRACEBACK).exists()


def test_who_is_asked_to_stop_is_pruned_whatever_it_returns(tmp_path: Path) -> None:
    heard = []

    def ask(value: float, step: int) -> str | None:
        heard.append((value, step))
        return "too bad" if step == 2 else None

    outcome = outcome_of(tmp_path, "report", "3", "2", "1", ask=ask)
    assert (outcome.state, outcome.values, outcome.reason) == ("PRUNED", None, "too bad")
    assert heard == [(3.0, 1), (2.0, 2)]


def test_asked_once_is_asked_for_good() -> None:
    answers = iter(["too bad", None])
    running = trial.RunningTrial(0, lambda value, step: next(answers))
    assert running.report(1, 1) == "too bad"
    assert running.report(1, 2) == "too bad"


@pytest.mark.parametrize(("value", "step"), [("abc", 1), (None, 1), (1.0, -1)])
def test_a_senseless_report_is_the_tasks_own_failure(value: float, step: int) -> None:
    with pytest.raises((TypeError, ValueError)):
        trial.RunningTrial(0, lambda value, step: None).report(value, step)


def test_what_the_task_sets_is_written_down(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, "set_down", "300")
    assert (outcome.state, outcome.values) == ("COMPLETE", [1.0])
    assert (outcome.user_attrs, outcome.metrics) == ({"notes": ["plain", {"data": 1}]}, {"size": 300})
    assert (outcome.constraints, outcome.infeasible) == ({"heat": 0.5}, "heat is missed by 0.5")


def test_a_trial_that_breaks_a_limit_may_give_up(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, "set_down", "300", limits=Constraints.of({"size": 200}))
    assert (outcome.state, outcome.reason) == ("PRUNED", "size is 300, at most 200 is allowed")
    assert (outcome.constraints, outcome.infeasible) == ({"size": 0.5}, outcome.reason)


def test_a_sampler_that_learns_from_values_gets_them(tmp_path: Path) -> None:
    limits = Constraints.of({"size": 200}, "optuna.samplers.NSGAIISampler")
    outcome = outcome_of(tmp_path, "set_down", "300", limits=limits)
    assert (outcome.state, outcome.constraints) == ("COMPLETE", {"size": 0.5, "heat": 0.5})
    assert outcome.infeasible == "heat is missed by 0.5; size is 300, at most 200 is allowed"


def test_a_limit_to_what_the_task_does_not_set_fails_the_trial(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, "set_down", "300", limits=Constraints.of({"sise": 200}))
    reason = "hydra.sweeper.constraints limits sise, but the task set no such metric; did you mean size?"
    assert (outcome.state, outcome.values, outcome.reason) == ("FAIL", None, reason)


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("owner", 1, ValueError, "the search itself uses the attribute owner"),
        ("metric:size", 1, ValueError, "the search itself uses the attribute metric:size"),
        ("set", {1}, TypeError, "not JSON serializable"),
    ],
)
def test_an_attribute_that_cannot_be_kept_is_refused(
    name: str, value: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        trial.RunningTrial(0, lambda value, step: None).set_user_attr(name, value)


def test_a_task_cannot_take_the_name_of_any_attribute_of_the_engine() -> None:
    pattern = re.compile(r'(?:set_trial_user_attr|trial\.set_user_attr|trial\.user_attrs\.get)\([^"]*?"(\w+)"')
    sources = [path.read_text(encoding="utf-8") for path in (PROJECT / "src/async_optuna").glob("*.py")]
    used = {name for source in sources for name in pattern.findall(source)}
    assert "owner" in used
    assert used <= set(trial.OWN_ATTRIBUTES)


def test_a_run_outside_a_search_knows_of_no_trial() -> None:
    assert trial.current() is None


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"nonsense": 1}'])
def test_no_outcome_or_half_of_one_is_none(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / FILE).write_text(content, encoding="utf-8")
    assert Outcome.read(tmp_path) is None
