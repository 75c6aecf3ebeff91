"""A run tells its search how it goes, stops early when asked to, and is undisturbed outside a search."""

from collections.abc import Callable, Iterator

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import Finished

trial = pytest.importorskip("async_optuna.trial")

BRIDGE = "{_target_: cnnlab.callbacks.trial_report.TrialReport, monitor: val/accuracy}"
REPORTING = ["trainer.max_epochs=3", "test=false", f"++callbacks.trial_report={BRIDGE}"]


@pytest.fixture(autouse=True)
def _leave() -> Iterator[None]:
    yield
    trial.enter(None)


def test_every_epoch_is_reported_with_its_own_value(smoke: Callable[..., Finished]) -> None:
    reports: list[tuple[float, int]] = []
    trial.enter(trial.RunningTrial(0, lambda value, step: reports.append((value, step))))
    run = smoke(*REPORTING)
    assert run.status == 0, run.err
    assert [step for _, step in reports] == [1, 2, 3]
    assert max(value for value, _ in reports) == pytest.approx(run.metrics["val/accuracy"], abs=1e-6)


def test_a_pruned_run_keeps_its_metrics_a_closed_log_and_the_reason(smoke: Callable[..., Finished]) -> None:
    running = trial.RunningTrial(0, lambda value, step: "seen enough" if step == 2 else None)
    trial.enter(running)
    run = smoke(*REPORTING)
    assert run.status == 0, run.err
    assert running.pruned == "seen enough"
    assert run.metrics["epochs"] == 2
    assert "pruned: seen enough" in (run.folder / "train.log").read_text()
    events = EventAccumulator(str(run.folder))
    events.Reload()
    assert [event.step for event in events.Scalars("1_epochs/val/accuracy")] == [1, 2]
    assert "_hparams_/session_end_info" in events.summary_metadata


def test_outside_a_search_nothing_happens(smoke: Callable[..., Finished]) -> None:
    run = smoke(*REPORTING)
    assert run.status == 0, run.err
    assert run.metrics["epochs"] == 3


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        (["trainer.check_val_every_n_epoch=2"], [2]),
        (["trainer.val_check_interval=0.5"], [1, 2, 3]),
        (["callbacks.trial_report.monitor=train/loss"], [1, 2, 3]),
    ],
)
def test_only_what_was_measured_in_an_epoch_is_reported(
    settings: list[str], epochs: list[int], smoke: Callable[..., Finished]
) -> None:
    reports: dict[int, float] = {}
    trial.enter(trial.RunningTrial(0, lambda value, step: reports.update({step: value})))
    run = smoke(*REPORTING, *settings, "logger=csv", "model=linear", "scheduler=none")
    assert run.status == 0, run.err
    assert list(reports) == epochs
    monitor = "train/loss" if "train/loss" in settings[0] else "val/accuracy"
    logged = pd.read_csv(run.folder / "csv/metrics.csv").groupby("step")[monitor].last()  # type: ignore[operator]
    assert reports == pytest.approx({epoch: logged[epoch] for epoch in epochs}, abs=1e-6)
