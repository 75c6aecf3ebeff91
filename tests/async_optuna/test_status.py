"""The lines that a running search shows."""

import time
from pathlib import Path

import optuna
import pytest

from async_optuna.claim import Claim
from async_optuna.executors import Ended
from async_optuna.outcome import Outcome
from async_optuna.slots import Slot
from async_optuna.status import Status, duration
from async_optuna.tally import Counts


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(7.4, "7 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (3600, "1 h 00 min"), (90_061, "25 h 01 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.fixture
def claim(tmp_path: Path) -> Claim:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    trial = study.ask()
    overrides = ["y=1", "+w=0.5", "++x=2.0"]
    return Claim(trial, {"x": 2.0, "+w": 0.5}, overrides, tmp_path)


@pytest.mark.parametrize(
    ("outcome", "again", "line"),
    [
        (Outcome("COMPLETE", [0.123456789], seconds=1.25), False, "trial 0  0.123457  (1.2 s)  x=2 w=0.5"),
        (Outcome("COMPLETE", [0.5, 12.0], seconds=2), False, "trial 0  0.5, 12  (2.0 s)  x=2 w=0.5"),
        (Outcome("PRUNED", reason="too slow", seconds=3), False, "trial 0  pruned: too slow  (3.0 s)"),
        (Outcome("FAIL", reason="KeyError: 'x'", seconds=3), False, "trial 0  failed: KeyError: 'x'  (3.0 s)"),
        (None, True, "trial 0  it was killed; will be run again"),
        (None, False, "trial 0  it was killed; no retry left"),
    ],
)
def test_each_end_has_a_line(
    outcome: Outcome | None, again: bool, line: str, claim: Claim, capsys: pytest.CaptureFixture[str]
) -> None:
    status = Status("s", n_trials=10, num_slots=2, num_before=0)
    status.ended(claim, Ended(0, Slot(0), outcome, "it was killed"), Counts(), None, again)
    status.close()
    out, err = capsys.readouterr()
    assert (out, err) == (f"{line}\n", "")


def test_a_new_best_is_shown_with_what_was_searched(claim: Claim, capsys: pytest.CaptureFixture[str]) -> None:
    claim.trial.study.tell(claim.trial, 0.5)
    best = claim.trial.study.best_trial
    status = Status("s", n_trials=10, num_slots=2, num_before=0)
    status.ended(claim, Ended(0, Slot(0), Outcome("COMPLETE", [0.5])), Counts(complete=1), best, False)
    status.close()
    assert capsys.readouterr().out == "trial 0  0.5  best so far  (0.0 s)  x=2 w=0.5\n"


def test_the_total_is_estimated_once_after_the_first_trial_of_this_call(
    claim: Claim, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    status = Status("s", n_trials=25, num_slots=2, num_before=5)
    for finished in (6, 7):
        now += 30
        ended = Ended(0, Slot(0), Outcome("COMPLETE", [0.5]))
        status.ended(claim, ended, Counts(complete=finished), None, False)
    status.close()
    out = capsys.readouterr().out
    assert out.count("about") == 1
    assert "about 5 min 00 s in all, going by the first trial" in out  # 20 trials of 30 s in 2 slots
