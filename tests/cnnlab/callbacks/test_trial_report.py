"""A run tells its search how it goes, stops early when asked to, and is undisturbed outside a search."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader, TensorDataset

from cnnlab.callbacks.trial_report import TrialReport
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


class Scored(LightningModule):
    """Logs a score of its own name, in every second validation only."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        return (self.weight * batch[0]).sum()

    def validation_step(self, batch: list[torch.Tensor]) -> None:
        if self.current_epoch % 2 == 0:
            self.log("score", float(self.current_epoch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train_scored(tmp_path: Path, ask: Callable[[float, int], str | None], **settings: Any) -> trial.RunningTrial:
    running = trial.RunningTrial(0, ask)
    trial.enter(running)
    loader = DataLoader(TensorDataset(torch.ones(4, 1)))
    trainer = Trainer(
        default_root_dir=tmp_path, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[TrialReport("score")], **settings,
    )  # fmt: skip
    trainer.fit(Scored(), loader, loader)
    return running


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")
def test_a_number_that_was_not_computed_anew_is_not_reported_again(tmp_path: Path) -> None:
    reports: dict[int, float] = {}
    train_scored(tmp_path, lambda value, step: reports.update({step: value}), max_epochs=4)
    assert reports == {1: 0.0, 3: 2.0}


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")
@pytest.mark.parametrize("settings", [{"max_epochs": 1}, {"max_epochs": -1, "max_steps": 4}])
def test_a_run_is_not_pruned_in_its_last_epoch(settings: dict[str, int], tmp_path: Path) -> None:
    asked: list[int] = []

    def ask(value: float, step: int) -> str:
        asked.append(step)
        return "hopeless"

    running = train_scored(tmp_path, ask, **settings)
    assert asked == [1]  # the others are still compared with it
    assert running.pruned is None
