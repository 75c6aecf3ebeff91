"""When a silent trial is taken for one that hangs."""

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from async_optuna.overtime import Overtime


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


def silence_until_suspected(overtime: Overtime, clock: Clock) -> float:
    began = clock.now
    while not overtime.hanging():
        clock.now += 5
    return clock.now - began


def let_pass(seconds: float, overtime: Overtime, clock: Clock) -> None:
    end = clock.now + seconds
    while clock.now < end:
        clock.now += 5
        assert overtime.hanging() == []


@pytest.mark.parametrize(("timeout", "allowed"), [(None, 86_400), (480, 3600), (7200, 14_400)])
def test_while_nothing_is_known(timeout: float | None, allowed: float, clock: Clock) -> None:
    overtime = Overtime(timeout_seconds=timeout)
    overtime.begins(0)
    assert silence_until_suspected(overtime, clock) == allowed + 5


def test_a_trial_that_has_reported_is_measured_by_itself(clock: Clock) -> None:
    overtime = Overtime()
    for between, allowed in ((10, 600), (60, 1200)):
        overtime.begins(0)
        let_pass(between, overtime, clock)
        overtime.reports(0)
        assert silence_until_suspected(overtime, clock) == allowed + 5
        overtime.ends(0)


def test_before_its_first_report_it_is_measured_by_others(clock: Clock) -> None:
    overtime = Overtime()
    overtime.begins(0)
    let_pass(30, overtime, clock)
    overtime.ends(0)
    overtime.begins(1)
    assert silence_until_suspected(overtime, clock) == 3605
    distribution = optuna.distributions.FloatDistribution(0, 1)
    earlier = create_trial(
        state=TrialState.COMPLETE,
        value=0.0,
        params={"x": 0.0},
        distributions={"x": distribution},
        intermediate_values={1: 0.0, 2: 0.0},
        user_attrs={"seconds": 900.0},
    )
    overtime = Overtime()
    overtime.learn([earlier])
    overtime.begins(0)
    assert silence_until_suspected(overtime, clock) == 6005


def test_the_time_in_which_this_process_slept_does_not_count(clock: Clock) -> None:
    overtime = Overtime(trial_timeout_seconds=60, no_report_seconds=30)
    overtime.begins(0)
    clock.now += 10_000
    assert overtime.hanging() == []
    assert silence_until_suspected(overtime, clock) == 30


def test_zero_is_no_limit(clock: Clock) -> None:
    overtime = Overtime(trial_timeout_seconds=0, no_report_seconds=0)
    overtime.begins(0)
    let_pass(200_000, overtime, clock)
