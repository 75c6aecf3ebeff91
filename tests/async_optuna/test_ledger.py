"""The accounts of a search: exactly as many trials as asked for, whoever dies meanwhile."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from app_runs import states
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.pruners import NopPruner, ThresholdPruner
from optuna.samplers import RandomSampler
from sqlalchemy import event

from async_optuna import ledger as ledger_module, lost_trials, simultaneous_claims, storage
from async_optuna.claim import Claim
from async_optuna.distinct_sampler import DistinctSampler
from async_optuna.errors import SearchError
from async_optuna.files import FileLock
from async_optuna.ledger import Ledger
from async_optuna.outcome import Outcome
from async_optuna.space import Branch, Parameter, Space
from async_optuna.storage import open_storage

CONTINUOUS = Space((Parameter("x", FloatDistribution(-5, 5)),), {"y": "y=1"})
FINITE = Space((Parameter("z", CategoricalDistribution(["a", "b", "c"])),))


class Sweeps:
    """Ledgers on one study in one folder, as several processes would have them."""

    def __init__(self, folder: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder = folder

    def ledger(
        self,
        n_trials: int,
        space: Space = CONTINUOUS,
        *,
        is_grid: bool = False,
        on: str = "",
        seed: int = 0,
        directions: tuple[str, ...] = ("minimize",),
        pruner: optuna.pruners.BasePruner | None = None,
        **settings: Any,
    ) -> Ledger:
        study = optuna.create_study(
            study_name="s",
            storage=open_storage(None, self.folder),
            load_if_exists=True,
            directions=list(directions),
            pruner=pruner or optuna.pruners.NopPruner(),
        )
        (self.folder / on).mkdir(exist_ok=True)
        ledger = Ledger(study, space, self.folder / on, n_trials, **settings)
        make = None if is_grid else (lambda trial_seed: RandomSampler(seed=trial_seed))
        study.sampler = DistinctSampler(make, seed, space, ledger.is_seen)
        return ledger

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        return optuna.load_study(study_name="s", storage=open_storage(None, self.folder)).trials


@pytest.fixture
def sweeps(tmp_path: Path) -> Sweeps:
    return Sweeps(tmp_path)


def die(ledger: Ledger) -> None:
    """End a ledger as a kill of its process would: the system takes its lock away, nobody cleans up."""
    ledger._owner._lock.release()


def complete(ledger: Ledger, claim: Claim | None, value: float = 1.0) -> None:
    assert claim is not None
    ledger.finish(claim.number, Outcome("COMPLETE", [value], seconds=0.5))


def claims(ledger: Ledger) -> list[Claim]:
    """All that can be had now."""
    return list(iter(ledger.claim, None))


# --- Claims -----------------------------------------------------------------------------------------------------------


def test_a_claim_is_a_point_its_overrides_and_a_folder(sweeps: Sweeps) -> None:
    claim = sweeps.ledger(1).claim()
    assert claim is not None
    assert claim.number == 0
    assert claim.overrides == ["y=1", f"x={claim.point['x']}"]
    assert claim.folder == sweeps.folder / "0"
    assert claim.folder.is_dir()
    (trial,) = sweeps.trials()
    assert (trial.state.name, trial.params) == ("RUNNING", claim.point)
    assert (trial.user_attrs["overrides"], trial.user_attrs["folder"]) == (claim.overrides, "0")


def test_no_more_are_given_out_than_asked_for(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(3)
    given = claims(ledger)
    assert [claim.number for claim in given] == [0, 1, 2]
    ledger.finish(0, Outcome("COMPLETE", [1.0]))
    ledger.finish(1, Outcome("PRUNED", reason="too slow"))
    ledger.finish(2, Outcome("FAIL", reason="RuntimeError: no"))
    assert claims(ledger) == []
    assert (ledger.counts.complete, ledger.counts.pruned, ledger.counts.failed) == (1, 1, 1)
    assert states(ledger.study) == ["COMPLETE", "PRUNED", "FAIL"]
    assert [trial.user_attrs.get("reason") for trial in sweeps.trials()] == [None, "too slow", "RuntimeError: no"]


def test_two_controllers_share_the_trials(sweeps: Sweeps) -> None:
    one, other = sweeps.ledger(5), sweeps.ledger(5)
    given = [one.claim(), other.claim(), other.claim(), one.claim(), other.claim()]
    assert [claim.number for claim in given if claim] == [0, 1, 2, 3, 4]
    assert one.claim() is None
    for claim in given:
        complete(one, claim)
    assert other.claim() is None
    assert other.counts.complete == 5
    assert len({trial.params["x"] for trial in sweeps.trials()}) == 5


def test_a_larger_number_adds_the_difference(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(2)
    for claim in claims(ledger):
        complete(ledger, claim)
    ledger.leave()
    assert claims(sweeps.ledger(2)) == []
    assert [claim.number for claim in claims(sweeps.ledger(5))] == [2, 3, 4]


def test_a_folder_that_is_there_is_never_taken(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(3)
    (sweeps.folder / "1").mkdir()
    complete(ledger, ledger.claim())
    with pytest.raises(SearchError, match="1 already exists, but trial 1 is new: the folder belongs to another study"):
        ledger.claim()
    assert states(ledger.study) == ["COMPLETE", "FAIL"]
    assert [claim.number for claim in claims(sweeps.ledger(3))] == [2, 3]


def test_a_finite_space_ends_a_search(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(10, FINITE)
    given = claims(ledger)
    assert sorted(claim.point["z"] for claim in given) == ["a", "b", "c"]
    assert ledger.is_exhausted()
    for claim in given:
        complete(ledger, claim)
    again = sweeps.ledger(10, FINITE)
    assert claims(again) == []
    assert again.is_exhausted()


def test_a_space_without_parameters_is_run_as_often_as_asked_for(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(2, Space((), {"y": "y=1"}))
    claim, other = claims(ledger)
    assert ledger.lose(claim.number, "killed", uses_a_retry=True)
    (again,) = claims(ledger)
    assert (again.point, again.overrides, again.restart_from) == ({}, ["y=1"], claim.folder)
    complete(ledger, other)
    complete(ledger, again)
    ledger.leave()
    assert claims(sweeps.ledger(2, Space((), {"y": "y=1"}))) == []


def test_a_space_that_an_app_adds_to_is_never_exhausted(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(5, FINITE, extend=lambda trial: trial.suggest_float("+w", 0, 1))
    given = claims(ledger)
    assert len(given) == 5
    for claim in given:
        assert claim.overrides == [f"z={claim.point['z']}", f"+w={claim.point['+w']}"]


@pytest.mark.parametrize(
    ("error", "told"),
    [(KeyError("no such parameter"), SearchError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_an_addition_that_fails_leaves_no_running_trial(
    error: BaseException, told: type[BaseException], sweeps: Sweeps
) -> None:
    def extend(trial: optuna.Trial) -> None:
        raise error

    with pytest.raises(told, match="^no trial can be begun: KeyError: 'no such parameter'$|^$"):
        sweeps.ledger(2, extend=extend).claim()
    assert [trial.state.name for trial in sweeps.trials()] == ["FAIL"]
    assert [claim.number for claim in claims(sweeps.ledger(2))] == [1, 2]


# --- Points that come first -------------------------------------------------------------------------------------------


def test_enqueued_points_come_first_and_once(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(4)
    for _ in range(2):
        ledger.enqueue([({"x": 1.0}, "defaults"), ({"x": 2.0}, "enqueued"), ({"x": 1.0}, "enqueued")])
    given = claims(ledger)
    assert [claim.point["x"] for claim in given][:2] == [1.0, 2.0]
    assert 1.0 not in [claim.point["x"] for claim in given][2:]
    assert [trial.user_attrs.get("source") for trial in sweeps.trials()] == ["defaults", "enqueued", None, None]
    assert len(given) == 4


def test_another_call_does_not_enqueue_again(sweeps: Sweeps) -> None:
    first = sweeps.ledger(3)
    first.enqueue([({"x": 1.0}, "defaults"), ({"x": 2.0}, "enqueued")])
    complete(first, first.claim())
    first.leave()
    second = sweeps.ledger(3)
    second.enqueue([({"x": 1.0}, "defaults"), ({"x": 2.0}, "enqueued"), ({"x": 3.0}, "enqueued")])
    assert [claim.point["x"] for claim in claims(second)] == [2.0, 3.0]


# --- Lost trials ------------------------------------------------------------------------------------------------------


def test_a_trial_whose_process_dies_is_run_again_and_then_fails(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(1, max_retries=2)
    points = []
    for attempt in range(3):
        (claim,) = claims(ledger)
        points.append(claim.point)
        assert claim.folder == sweeps.folder / str(attempt)
        assert claim.restart_from == (sweeps.folder / str(attempt - 1) if attempt else None)
        assert ledger.lose(claim.number, "killed by signal 9", uses_a_retry=True) is (attempt < 2)
    assert points == [points[0]] * 3
    assert claims(ledger) == []
    assert (ledger.counts.failed, ledger.counts.interrupted) == (1, 2)
    assert ledger.first_failure is not None
    assert ledger.first_failure.user_attrs["reason"] == "killed by signal 9 (3 times; no retry left)"
    assert [trial.user_attrs.get("retry_of") for trial in sweeps.trials()] == [None, 0, 1]


def test_a_lost_trial_of_the_defaults_stays_the_defaults_and_is_never_pruned(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(2, max_retries=2, pruner=ThresholdPruner(upper=0.0))
    ledger.enqueue([({"x": 1.0}, "defaults")])
    defaults, sampled = claims(ledger)
    for lost in (defaults, sampled):
        ledger.lose(lost.number, "stopped", uses_a_retry=False)
    again, other = claims(ledger)
    assert [trial.user_attrs.get("source") for trial in sweeps.trials()] == ["defaults", None, "defaults", "retry"]
    assert ledger.report(again, 9.0, 1) is None
    assert ledger.report(other, 9.0, 1) is not None


def test_without_retries_it_fails_at_once(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(2, max_retries=0)
    first, second = claims(ledger)
    assert not ledger.lose(first.number, "killed", uses_a_retry=True)
    complete(ledger, second)
    assert claims(ledger) == []
    assert ledger.counts.failed == 1


def test_being_stopped_uses_no_retry_up(sweeps: Sweeps) -> None:
    for attempt in range(4):
        ledger = sweeps.ledger(1, max_retries=1)
        (claim,) = claims(ledger)
        assert claim.number == attempt
        ledger.lose(claim.number, "the search was stopped", uses_a_retry=False)
        assert [trial.state.name for trial in sweeps.trials()] == ["FAIL"] * (attempt + 1) + ["WAITING"]
        ledger.leave()
    assert len({trial.params["x"] for trial in sweeps.trials() if trial.params}) == 1


def test_a_lost_point_of_a_finite_space_comes_back(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(3, FINITE, is_grid=True)
    given = claims(ledger)
    complete(ledger, given[0])
    complete(ledger, given[2])
    ledger.lose(1, "killed", uses_a_retry=True)
    assert not ledger.is_exhausted()
    (again,) = claims(ledger)
    assert again.point == {"z": "b"}
    assert ledger.is_exhausted()


def test_trials_of_a_dead_controller_are_run_again_by_another(sweeps: Sweeps) -> None:
    dead, living = sweeps.ledger(4), sweeps.ledger(4)
    lost, kept = dead.claim(), living.claim()
    assert lost is not None
    assert kept is not None
    die(dead)
    given = claims(living)
    assert [claim.point["x"] == lost.point["x"] for claim in given] == [True, False, False]
    assert given[0].restart_from == lost.folder
    for claim in [kept, *given]:
        complete(living, claim)
    assert claims(living) == []
    assert living.counts.finished == 4
    assert sorted(trial.state.name for trial in sweeps.trials()) == ["COMPLETE"] * 4 + ["FAIL"]
    assert sweeps.trials()[0].user_attrs["reason"] == "its controller was gone"


def test_a_controllers_death_uses_no_retry_up(sweeps: Sweeps) -> None:
    for attempt in range(4):
        ledger = sweeps.ledger(1, max_retries=1)
        (claim,) = claims(ledger)
        assert claim.number == attempt
        die(ledger)


def test_what_a_dead_controllers_trial_had_written_down_counts(sweeps: Sweeps) -> None:
    dead = sweeps.ledger(3)
    for claim, outcome in zip(
        claims(dead), [Outcome("COMPLETE", [7.0]), Outcome("PRUNED", reason="slow"), Outcome("FAIL")], strict=True
    ):
        outcome.write(claim.folder)
    die(dead)
    living = sweeps.ledger(3)
    assert claims(living) == []
    assert (living.counts.complete, living.counts.pruned, living.counts.failed) == (1, 1, 1)
    assert living.best is not None
    assert living.best.value == 7.0


def test_a_process_on_its_way_out_is_waited_for(sweeps: Sweeps) -> None:
    dead = sweeps.ledger(1)
    (claim,) = claims(dead)
    die(dead)
    living = sweeps.ledger(1)
    with FileLock(claim.folder):
        assert claims(living) == []
        assert states(living.study) == ["RUNNING"]
        Outcome("COMPLETE", [7.0]).write(claim.folder)
    assert claims(living) == []
    assert states(living.study) == ["COMPLETE"]


@pytest.mark.parametrize("step", ["ask", "enqueued", "folder"])
def test_a_controller_may_die_in_the_middle_of_a_claim(
    step: str, sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    dead = sweeps.ledger(2)
    if step == "enqueued":
        dead.enqueue([({"x": 4.0}, "enqueued")])
    ask = dead.study.ask
    if step == "folder":
        monkeypatch.setattr("pathlib.Path.mkdir", kill)
    else:
        monkeypatch.setattr(dead.study, "ask", lambda: kill(ask()))
    with pytest.raises(Killed):
        dead.claim()
    monkeypatch.undo()
    assert states(dead.study) == ["RUNNING"]
    die(dead)
    living = sweeps.ledger(2)
    given = claims(living)
    for claim in given:
        complete(living, claim)
    assert claims(living) == []
    assert living.counts.finished == len(given) == 2
    assert sorted(states(living.study)) == ["COMPLETE", "COMPLETE", "FAIL"]
    assert (4.0 in [claim.point["x"] for claim in given]) is (step == "enqueued")


def test_who_is_late_does_not_change_what_is_settled(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(1)
    (claim,) = claims(ledger)
    complete(ledger, claim, 1.0)
    complete(ledger, claim, 2.0)
    assert not ledger.lose(claim.number, "killed", uses_a_retry=True)
    assert "took this one for dead" in str(ledger.report(claim, 1.0, 1))
    ledger.refresh()
    assert ledger.best is not None
    assert (ledger.best.value, states(ledger.study)) == (1.0, ["COMPLETE"])


# --- Failed trials ----------------------------------------------------------------------------------------------------


def test_failed_points_run_again_on_request_and_count_once(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(3)
    first, second, third = claims(ledger)
    ledger.finish(first.number, Outcome("FAIL", reason="a bug"))
    ledger.finish(second.number, Outcome("FAIL", reason="the same bug"))
    complete(ledger, third)
    ledger.leave()
    assert claims(sweeps.ledger(3)) == []
    again, joined = sweeps.ledger(3), sweeps.ledger(3)
    assert (again.retry_failed(), joined.retry_failed()) == (2, 0)
    given = claims(again)
    assert [claim.point for claim in given] == [first.point, second.point]
    assert [claim.restart_from for claim in given] == [None, None]
    assert (again.counts.failed, again.counts.interrupted, again.first_failure) == (0, 2, None)
    complete(again, given[0])
    again.finish(given[1].number, Outcome("FAIL", reason="another bug"))
    assert claims(again) == []
    assert (again.counts.finished, again.counts.failed) == (3, 1)
    assert again.retry_failed() == 1
    assert [claim.point for claim in claims(again)] == [second.point]


def test_what_failed_from_outside_waits_for_a_result_of_another(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(4)
    claim, other = ledger.claim(), ledger.claim()
    assert claim is not None
    ledger.lose(claim.number, "no data", uses_a_retry=False, external=True)
    new = ledger.claim()
    assert new is not None
    assert new.point != claim.point
    complete(ledger, other)
    again = ledger.claim()
    assert again is not None
    assert (again.point, again.restart_from) == (claim.point, claim.folder)


def test_a_dead_controllers_trial_that_failed_from_outside_is_run_again(sweeps: Sweeps) -> None:
    dead = sweeps.ledger(1)
    (claim,) = claims(dead)
    Outcome("FAIL", reason="no data", external=True).write(claim.folder)
    die(dead)
    (again,) = claims(sweeps.ledger(1))
    assert again.point == claim.point


# --- Several machines -------------------------------------------------------------------------------------------------


def test_of_two_that_take_the_last_trial_at_once_one_gives_it_back(sweeps: Sweeps) -> None:
    """No lock reaches another machine: the higher number yields."""
    one, other = (sweeps.ledger(1, on=machine, is_shared=True) for machine in ("one", "other"))
    ask = one.study.ask
    one.study.ask = lambda: (other.claim(), ask())[1]  # type: ignore[method-assign]
    assert one.claim() is None
    assert [(trial.state.name, trial.user_attrs.get("interrupted")) for trial in sweeps.trials()] == [
        ("RUNNING", None),
        ("FAIL", True),
    ]
    complete(other, Claim(other.study.get_trials()[0], {}, [], sweeps.folder))  # type: ignore[arg-type]
    assert one.claim() is None
    assert one.counts.finished == 1


def test_of_two_that_take_the_same_point_at_once_one_takes_another(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simultaneous_claims, "_CHOOSING_SECONDS", 0.5)
    one, other = (sweeps.ledger(3, FINITE, is_grid=True, on=machine, is_shared=True) for machine in ("one", "other"))
    taken = other.study.ask()
    describe = one._describe

    def describe_meanwhile(trial: optuna.Trial) -> Claim:
        claim = describe(trial)
        taken.suggest_categorical("z", ["a", "b", "c"])
        return claim

    one._describe = describe_meanwhile  # type: ignore[method-assign]
    assert one.claim() is None
    assert [claim.point["z"] for claim in claims(one)] == ["b", "c"]
    assert [trial.params["z"] for trial in sweeps.trials() if trial.state.name == "RUNNING"] == ["a", "b", "c"]


def test_who_chooses_its_point_slower_but_drew_the_lower_number_is_waited_for(sweeps: Sweeps) -> None:
    """The window of milliseconds: one has drawn its trial and not yet written what the other just took."""
    slow, quick = (sweeps.ledger(3, FINITE, is_grid=True, on=machine, is_shared=True) for machine in ("slow", "quick"))
    found: list[Claim | None] = []
    others = threading.Thread(target=lambda: found.append(quick.claim()))
    describe = slow._describe

    def describe_later(trial: optuna.Trial) -> Claim:
        others.start()
        others.join(0.3)  # so long at most it looks at the study without seeing this trial's point
        return describe(trial)

    slow._describe = describe_later  # type: ignore[method-assign]
    first = slow.claim()
    others.join()
    assert first is not None
    assert (first.number, first.point["z"], found) == (0, "a", [None])
    assert [claim.point["z"] for claim in claims(quick)] == ["b", "c"]


def test_the_last_trial_is_not_left_to_one_that_gives_it_back(sweeps: Sweeps) -> None:
    """Where hundreds want it, there is always one before that has not given its trial back yet."""
    one, other = (sweeps.ledger(1, on=machine, is_shared=True) for machine in ("one", "other"))
    before = other.study.ask()
    giving_back = threading.Timer(0.3, lambda: other._lost.interrupt(before.number, "not needed", retry=False))
    counts = one._tally.read
    one._tally.read = lambda: (counts(), setattr(one.counts, "running", 0))  # type: ignore[assignment]
    giving_back.start()
    claim = one.claim()
    giving_back.join()
    assert claim is not None
    assert claim.number == 1


def test_machines_that_begin_a_grid_together_take_different_points(sweeps: Sweeps) -> None:
    first, second, third = (
        sweeps.ledger(3, FINITE, is_grid=True, on=machine, is_shared=True) for machine in ("one", "two", "three")
    )
    for ledger in (first, second, third):
        ledger.study.sampler = DistinctSampler(None, 0, FINITE, ledger.is_seen, ledger.num_choosing_before)
    found: list[Claim | None] = []
    threads = [
        threading.Thread(target=lambda ledger=ledger: found.append(ledger.claim())) for ledger in (third, second)
    ]
    describe, describe_second = first._describe, second._describe

    def describe_while_the_others_choose(trial: optuna.Trial) -> Claim:
        threads[1].start()
        threads[1].join(0.3)
        return describe(trial)

    def describe_while_the_third_chooses(trial: optuna.Trial) -> Claim:
        threads[0].start()
        threads[0].join(0.3)
        return describe_second(trial)

    first._describe = describe_while_the_others_choose  # type: ignore[method-assign]
    second._describe = describe_while_the_third_chooses  # type: ignore[method-assign]
    found.append(first.claim())
    for thread in threads:
        thread.join()
    assert sorted(claim.point["z"] for claim in found if claim is not None) == ["a", "b", "c"]


def test_who_dies_while_it_chooses_is_not_waited_for_again(sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simultaneous_claims, "_CHOOSING_SECONDS", 0.1)
    dead, other = (sweeps.ledger(4, FINITE, is_grid=True, on=machine, is_shared=True) for machine in ("dead", "other"))
    dead.study.ask()
    assert [claim.point["z"] for claim in claims(other)] == ["a", "b", "c"]


def test_who_chooses_too_slowly_gives_way_to_everybody(sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simultaneous_claims, "_CHOOSING_SECONDS", 0.1)
    slow, quick = (sweeps.ledger(3, FINITE, is_grid=True, on=machine, is_shared=True) for machine in ("slow", "quick"))
    describe = slow._describe
    slow._describe = lambda trial: (claims(quick), describe(trial))[1]  # type: ignore[method-assign]
    assert slow.claim() is None
    assert [trial.params["z"] for trial in sweeps.trials() if trial.state.name == "RUNNING"] == ["a", "b"]


def test_a_claim_costs_the_same_however_many_trials_run_elsewhere(tmp_path: Path) -> None:
    database = open_storage(f"sqlite:///{tmp_path}/study.db", tmp_path)
    engine = database._backend.engine  # type: ignore[attr-defined]
    study = optuna.create_study(study_name="s", storage=database)
    ledger = Ledger(study, CONTINUOUS, tmp_path, 5000, is_shared=True)
    study.sampler = DistinctSampler(lambda seed: RandomSampler(seed=seed), 0, CONTINUOUS, ledger.is_seen)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    num_trials = 0
    for num_running in (0, 200, 1000):
        with engine.begin() as connection:
            for number in range(num_trials, num_running):
                connection.exec_driver_sql(
                    "INSERT INTO trials (trial_id, number, study_id, state) "
                    f"VALUES ({number + 1}, {number}, 1, 'RUNNING')"
                )
                connection.exec_driver_sql(
                    "INSERT INTO trial_user_attributes (trial_id, key, value_json) "
                    f"VALUES ({number + 1}, 'owner', '\"other {number % 50}\"')"
                )
        num_trials = max(num_trials, num_running)
        for _ in range(2):  # the first one looks for what happened before
            statements.clear()
            assert ledger.claim() is not None
            num_trials += 1
        assert len(statements) <= 60
        assert (
            sum("FROM trials" in statement and "ORDER BY trials.trial_id" in statement for statement in statements) == 1
        )


def test_a_point_that_another_machine_has_half_chosen_is_none_of_the_space(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simultaneous_claims, "_CHOOSING_SECONDS", 0.5)
    space = Space(tuple(Parameter(name, CategoricalDistribution([0, 1])) for name in "xy"))
    one, other = (sweeps.ledger(4, space, is_grid=True, on=machine, is_shared=True) for machine in ("one", "other"))
    other.study.ask().suggest_categorical("x", [0, 1])
    one.refresh()
    assert len(claims(one)) == 3
    assert not one.is_exhausted()


def test_a_point_that_two_machines_queue_at_once_is_run_once(sweeps: Sweeps) -> None:
    """No lock reaches another machine: both queue what is lost, or to be run first."""
    one, other = (sweeps.ledger(3, on=machine, is_shared=True) for machine in ("one", "other"))
    point = {"x": 0.25}
    for study in (one.study, other.study):
        study.enqueue_trial(point, user_attrs={"source": "enqueued"})
    first = one.claim()
    assert first is not None
    one._lost.interrupt(first.number, "the search was stopped", retries=0)
    for study in (one.study, other.study):
        study.enqueue_trial(point, user_attrs={"source": "retry", "retry_of": first.number})
    found = [claim for ledger in (other, one) for claim in (ledger.claim() for _ in range(4)) if claim is not None]
    assert len(found) == 3
    assert [claim.number for claim in found if claim.point == point] == [2]
    assert [trial.number for trial in sweeps.trials() if trial.user_attrs.get("retry") is False] == [1, 3]


def late(sweeps: Sweeps) -> tuple[Ledger, Ledger, Claim]:
    """A controller whose trial another one on another machine has taken for dead while it was running."""
    slow, other = (sweeps.ledger(2, on=machine, is_shared=True) for machine in ("slow", "other"))
    claim = slow.claim()
    assert claim is not None
    other._owner.lives = lambda name, number: False  # type: ignore[method-assign]
    other._lost.settle(())
    assert [trial.state.name for trial in sweeps.trials()] == ["FAIL", "WAITING"]
    return slow, other, claim


def at_the_last_moment(monkeypatch: pytest.MonkeyPatch, others: Callable[[], object]) -> None:
    """Have others do something between a look at a trial that runs and what is written into it."""
    look, done = ledger_module.trial_numbered, []

    def look_then_wait(study: optuna.Study, number: int) -> optuna.trial.FrozenTrial:
        trial = look(study, number)
        if not done and not trial.state.is_finished():
            done.append(True)
            others()
        return trial

    for module in (ledger_module, lost_trials):
        monkeypatch.setattr(module, "trial_numbered", look_then_wait)


def test_two_that_find_a_dead_trial_at_once_both_go_on(sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    dead, one, other = (sweeps.ledger(1, on=machine, is_shared=True) for machine in ("dead", "one", "other"))
    assert dead.claim() is not None
    for ledger in (one, other):
        ledger._owner.lives = lambda name, number: number > 0  # type: ignore[method-assign]
    found: list[Claim | None] = []
    at_the_last_moment(monkeypatch, lambda: found.append(other.claim()))
    assert one.claim() is None
    assert found[0] is not None
    assert [trial.state.name for trial in sweeps.trials()] == ["FAIL", "RUNNING"]


def test_a_result_or_report_that_comes_as_others_end_the_trial_is_late(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, other = (sweeps.ledger(1, on=machine, is_shared=True) for machine in ("slow", "other"))
    claim = slow.claim()
    assert claim is not None
    other._owner.lives = lambda name, number: False  # type: ignore[method-assign]
    at_the_last_moment(monkeypatch, lambda: other._lost.settle(()))
    assert slow.report(claim, 3.0, 1) is None
    complete(slow, claim)
    assert [(trial.state.name, trial.value) for trial in sweeps.trials()] == [("FAIL", None), ("COMPLETE", 1.0)]


def test_a_late_result_is_kept_and_its_point_not_run_again(sweeps: Sweeps) -> None:
    slow, other, claim = late(sweeps)
    assert slow.report(claim, 3.0, 1) is None  # nobody else has begun: it may go on
    slow.finish(claim.number, Outcome("COMPLETE", [7.0], seconds=200))
    trials = sweeps.trials()
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE"]
    assert (trials[1].value, trials[1].params, trials[1].intermediate_values) == (7.0, claim.point, {1: 3.0})
    assert (trials[1].user_attrs["folder"], trials[1].user_attrs["seconds"]) == ("0", 200)
    (last,) = claims(other)
    complete(other, last)
    assert claims(other) == claims(slow) == []
    assert other.counts.finished == slow.counts.finished == 2


def test_a_late_result_ends_the_retry_that_runs(sweeps: Sweeps) -> None:
    slow, other, claim = late(sweeps)
    retry = other.claim()
    assert retry is not None
    slow.finish(claim.number, Outcome("COMPLETE", [7.0]))
    assert "ran its trial" in str(other.report(retry, 3.0, 1))
    complete(other, retry, 8.0)
    assert [(trial.state.name, trial.value) for trial in sweeps.trials()] == [("FAIL", None), ("COMPLETE", 7.0)]
    assert len(claims(other)) == 1  # two were asked for


def test_a_result_that_comes_after_that_of_the_retry_is_not_kept(sweeps: Sweeps) -> None:
    slow, other, claim = late(sweeps)
    complete(other, other.claim(), 8.0)
    assert "ran its trial" in str(slow.report(claim, 3.0, 1))
    slow.finish(claim.number, Outcome("COMPLETE", [7.0]))
    assert [(trial.state.name, trial.value) for trial in sweeps.trials()] == [("FAIL", None), ("COMPLETE", 8.0)]


def test_a_late_failure_lets_the_retry_run(sweeps: Sweeps) -> None:
    slow, other, claim = late(sweeps)
    slow.finish(claim.number, Outcome("FAIL", reason="RuntimeError: no"))
    assert [trial.state.name for trial in sweeps.trials()] == ["FAIL", "WAITING"]
    assert [given.point == claim.point for given in claims(other)] == [True, False]


# --- A study that cannot be reached -----------------------------------------------------------------------------------


class Disk:
    """A disk that is full for as long as `is_full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        write = storage._write_whole

        def refuse(file: Any, data: bytes) -> None:
            if self.is_full:
                raise OSError(28, "No space left on device")
            write(file, data)

        monkeypatch.setattr(storage, "_write_whole", refuse)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_what_happens_while_the_study_cannot_be_reached_is_written_later(
    sweeps: Sweeps, disk: Disk, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = sweeps.ledger(3, pruner=ThresholdPruner(upper=5))
    first, second = ledger.claim(), ledger.claim()
    assert first is not None
    assert second is not None
    disk.is_full = True
    assert ledger.report(first, 4.0, 1) is None
    assert ledger.claim() is None
    ledger.finish(first.number, Outcome("COMPLETE", [7.0]))
    assert ledger.lose(second.number, "killed", uses_a_retry=True)
    assert ledger.is_behind
    assert states(ledger.study) == ["RUNNING", "RUNNING"]
    disk.is_full = False
    assert ledger.claim() is None  # it is not tried all the time
    disk.now += 60
    again, third = claims(ledger)
    assert (again.point, third.number) == (second.point, 3)
    assert not ledger.is_behind
    trials = sweeps.trials()
    assert (trials[0].value, trials[0].intermediate_values) == (7.0, {1: 4.0})
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "RUNNING", "RUNNING"]
    assert again.retries == 1
    assert capsys.readouterr().out.splitlines() == [
        "the study cannot be reached ([Errno 28] No space left on device); running trials go on, and it is tried again "
        "for up to 600 s",
        "the study is there again after 60 s",
    ]


@pytest.mark.parametrize("num_lines", range(10))
def test_a_claim_that_is_broken_off_anywhere_is_made_good(
    num_lines: int, sweeps: Sweeps, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = sweeps.ledger(2)
    write = storage._write_whole
    written = 0

    def fill_up(file: Any, data: bytes) -> None:
        nonlocal written
        disk.is_full = written == num_lines
        written += 1
        write(file, data)

    monkeypatch.setattr(storage, "_write_whole", fill_up)
    given = claims(ledger)
    disk.now += 60
    given += claims(ledger)
    for claim in given:
        complete(ledger, claim)
    assert claims(ledger) == []
    assert ledger.counts.finished == len(given) == 2
    assert {trial.state.name for trial in sweeps.trials()} <= {"COMPLETE", "FAIL"}


def test_after_a_while_it_is_given_up_in_one_line(sweeps: Sweeps, disk: Disk) -> None:
    ledger = sweeps.ledger(3, storage_patience_seconds=100)
    claim = ledger.claim()
    assert claim is not None
    disk.is_full = True
    ledger.finish(claim.number, Outcome("COMPLETE", [7.0]))
    for _ in range(3):
        disk.now += 30
        ledger.catch_up()
    disk.now += 30
    with pytest.raises(SearchError, match="could not be reached for 120 s .*No space left.*storage_patience_seconds"):
        ledger.catch_up()
    ledger.refresh()
    ledger.leave()
    assert states(ledger.study) == ["RUNNING"]


# --- What Optuna raises -----------------------------------------------------------------------------------------------


class Broken(RandomSampler, NopPruner):
    """Fails in the method of this name."""

    def __init__(self, method: str) -> None:
        super().__init__()
        setattr(self, method, self._fail)

    def _fail(self, *_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("division\nby zero")


@pytest.mark.parametrize("method", ["before_trial", "infer_relative_search_space", "sample_independent"])
def test_a_sampler_that_fails_is_one_line_and_leaves_no_running_trial(method: str, sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(3)
    ledger.study.sampler = DistinctSampler(lambda seed: Broken(method), 0, CONTINUOUS, ledger.is_seen)
    with pytest.raises(SearchError, match="^no trial can be begun: ZeroDivisionError: division by zero$"):
        ledger.claim()
    assert states(ledger.study) == ["FAIL"]
    assert ledger.counts.finished == 0


def test_a_sampler_or_pruner_that_fails_later_is_one_line_too(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(3, pruner=Broken("prune"))
    ledger.study.sampler = DistinctSampler(lambda seed: Broken("after_trial"), 0, CONTINUOUS, ledger.is_seen)
    claim = ledger.claim()
    assert claim is not None
    with pytest.raises(SearchError, match="^trial 0 cannot report: ZeroDivisionError: division by zero$"):
        ledger.report(claim, 1.0, 1)
    with pytest.raises(SearchError, match="^the end of a trial cannot be written down: ZeroDivisionError"):
        complete(ledger, claim)
    assert states(ledger.study) == ["COMPLETE"]


# --- Reports ----------------------------------------------------------------------------------------------------------


def test_the_pruner_decides_on_reports(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(1, pruner=ThresholdPruner(upper=5))
    (claim,) = claims(ledger)
    assert ledger.report(claim, 4.0, 1) is None
    assert ledger.report(claim, 6.0, 2) == "ThresholdPruner after step 2: value 6"
    assert sweeps.trials()[0].intermediate_values == {1: 4.0, 2: 6.0}


def test_a_step_that_was_reported_is_not_reported_again(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(1)
    (claim,) = claims(ledger)
    for value in (4.0, 5.0):
        assert ledger.report(claim, value, 1) is None
    assert sweeps.trials()[0].intermediate_values == {1: 4.0}


def test_a_trial_that_is_run_again_from_a_checkpoint_keeps_its_earlier_reports(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(1)
    (claim,) = claims(ledger)
    for step in (1, 2, 3):
        ledger.report(claim, float(step), step)
    ledger.lose(0, "killed", uses_a_retry=True)
    (again,) = claims(ledger)
    ledger.report(again, 33.0, 3)
    assert sweeps.trials()[1].intermediate_values == {1: 1.0, 2: 2.0, 3: 33.0}


def test_several_objectives_have_no_reports(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(1, directions=("minimize", "maximize"))
    (claim,) = claims(ledger)
    assert ledger.report(claim, 4.0, 1) is None
    ledger.finish(0, Outcome("COMPLETE", [1.0, 2.0]))
    assert sweeps.trials()[0].values == [1.0, 2.0]


# --- The best ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("direction", "best"), [("minimize", 1), ("maximize", 2)])
def test_the_best_is_the_first_of_equals(direction: str, best: int, sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(5, directions=(direction,))
    for claim, value in zip(claims(ledger), [2.0, 1.0, 3.0, 1.0, 3.0], strict=True):
        complete(ledger, claim, value)
    ledger.refresh()
    assert ledger.best is not None
    assert ledger.best.number == best


# --- Conditional spaces -----------------------------------------------------------------------------------------------


def test_lost_points_of_a_branch_come_back_whole(sweeps: Sweeps) -> None:
    branch = Branch((("z", "a"),), (Parameter("dropout", FloatDistribution(0, 1)),), {"norm": "norm=true"})
    space = Space((Parameter("z", CategoricalDistribution(["a"])),), branches=(branch,))
    ledger = sweeps.ledger(1, space)
    (claim,) = claims(ledger)
    ledger.lose(0, "killed", uses_a_retry=True)
    (again,) = claims(ledger)
    assert set(again.point) == {"z", "dropout"}
    assert (again.point, again.overrides) == (claim.point, claim.overrides)


def test_the_best_is_the_best_that_misses_no_constraint(sweeps: Sweeps) -> None:
    ledger = sweeps.ledger(4)
    outcomes = [
        Outcome("COMPLETE", [1.0], constraints={"size": 0.5}, infeasible="size is 300, at most 200 is allowed"),
        Outcome("COMPLETE", [3.0], constraints={"size": 0.0}, metrics={"size": 200}, user_attrs={"notes": [1]}),
        Outcome("COMPLETE", [2.0], constraints={"size": -0.5}),
        Outcome("PRUNED", constraints={"size": 1.5}, infeasible="size is 500, at most 200 is allowed"),
    ]
    for claim, outcome in zip(claims(ledger), outcomes, strict=True):
        ledger.finish(claim.number, outcome)
    ledger.refresh()
    assert ledger.best is not None
    assert ledger.best.number == 2
    assert (ledger.counts.complete, ledger.counts.infeasible) == (3, 1)
    trials = sweeps.trials()
    assert [trial.constraints["size"] for trial in trials] == [0.5, 0.0, -0.5, 1.5]
    assert trials[1].user_attrs["metric:size"] == 200
    assert trials[1].user_attrs["notes"] == [1]
    assert trials[3].user_attrs["infeasible"] == "size is 500, at most 200 is allowed"
