"""Schedules are laid out for the run they get, do what the user says, and say what they overrule."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, TensorDataset

from cnnlab.errors import UserError
from cnnlab.optimization import optimization
from cnnlab.schedules import length_argument, plateau_mode
from conftest import Finished


def rates(run: Finished) -> list[float]:
    assert run.status == 0, run.err
    events = EventAccumulator(str(run.folder))
    events.Reload()
    return [event.value for event in events.Scalars("2_steps/learning_rate")]


def test_a_length_the_user_gives_is_not_asked_for() -> None:
    assert length_argument(partial(OneCycleLR, max_lr=1)) == "total_steps"
    assert length_argument(partial(CosineAnnealingLR)) == "T_max"
    assert length_argument(partial(OneCycleLR, max_lr=1, total_steps=9)) is None
    assert length_argument(partial(OneCycleLR, max_lr=1, epochs=3, steps_per_epoch=3)) is None
    assert length_argument(partial(CosineAnnealingLR, T_max=9)) is None
    assert length_argument(partial(StepLR, step_size=2)) is None


def test_a_length_in_steps_is_the_users(smoke: Callable[..., Finished]) -> None:
    run = smoke("model=linear", "test=false", "scheduler=cosine", "+scheduler.T_max=4", "optimizer.lr=1")
    assert rates(run) == pytest.approx([1.0, 0.8536, 0.5, 0.1464, 0.0, 0.1464, 0.5, 0.8536], abs=1e-3)
    run = smoke("model=linear", "test=false", "+scheduler.total_steps=5")
    assert run.status == 1
    assert "scheduler: OneCycleLR was given 5 steps, but the run has 8" in run.err


ACCUMULATE = (
    "+callbacks.accumulate={_target_: lightning.pytorch.callbacks.GradientAccumulationScheduler, scheduling: %s}"
)


def test_one_cycle_ends_with_the_run_where_batches_are_gathered(smoke: Callable[..., Finished]) -> None:
    """Eight batches in each of two epochs: eight steps, then four."""
    run = smoke("model=linear", "test=false", "trainer.max_epochs=2", ACCUMULATE % "{1: 2}")
    assert len(rates(run)) == 12
    assert rates(run)[-1] < 1e-3 * max(rates(run))


class Empty(LightningModule):
    """A module whose score is what the test says."""

    def __init__(self, scheduler: Any, monitor: str | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.scheduler = scheduler
        if monitor is not None:
            self.monitor = monitor

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        return self.layer(batch[0]).mean()  # type: ignore[no-any-return]

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        self.log_dict({"val/accuracy": float(self.current_epoch), "val/loss": 1.0})

    def configure_optimizers(self) -> Any:
        return optimization(self, partial(torch.optim.SGD, lr=1.0), self.scheduler)


def fitted(module: Empty, folder: Path, **arguments: Any) -> Trainer:
    options: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    options |= {"enable_model_summary": False, "num_sanity_val_steps": 0, "accelerator": "cpu"}
    trainer = Trainer(**options, default_root_dir=folder, **arguments)
    data = DataLoader(TensorDataset(torch.zeros(4, 1)), batch_size=1)
    trainer.fit(module, data, data)
    return trainer


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")
def test_a_schedule_that_waits_for_a_plateau_watches_the_monitor_after_validations(tmp_path: Path) -> None:
    """val/accuracy grows all the time and val/loss stands still."""
    waiting = partial(ReduceLROnPlateau, patience=0, factor=0.5)
    assert plateau_mode(ReduceLROnPlateau, None, "val/accuracy", None) == {"mode": "max"}
    for monitor, mode, lr in (("val/accuracy", "max", 1.0), ("val/loss", "min", 0.25)):
        module = Empty(partial(waiting, mode=mode), monitor)
        trainer = fitted(module, tmp_path, max_epochs=6, check_val_every_n_epoch=2)
        assert trainer.optimizers[0].param_groups[0]["lr"] == lr
    assert plateau_mode(StepLR, None, "val/accuracy", None) == {}
    with pytest.raises(UserError, match="scheduler.mode=min contradicts val/accuracy"):
        plateau_mode(ReduceLROnPlateau, "min", "val/accuracy", None)


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")
def test_max_steps_count_where_batches_are_gathered(tmp_path: Path) -> None:
    module = Empty(partial(OneCycleLR, max_lr=1.0))
    gathering = GradientAccumulationScheduler({0: 2, 2: 4})
    trainer = fitted(module, tmp_path, max_epochs=4, max_steps=5, callbacks=[gathering], log_every_n_steps=1)
    assert trainer.lr_scheduler_configs[0].scheduler.total_steps == 5  # type: ignore[union-attr]
    trainer = fitted(module, tmp_path, max_epochs=4, callbacks=[gathering], log_every_n_steps=1)
    assert trainer.lr_scheduler_configs[0].scheduler.total_steps == trainer.global_step == 6  # type: ignore[union-attr]


NOTE = "note    OneCycleLR changes optimizer.%s in every step;\n        scheduler.cycle_momentum=false keeps it at %s\n"


def test_settings_that_one_cycle_overrules_are_named(smoke: Callable[..., Finished]) -> None:
    quick = ["model=linear", "test=false", "logger=none"]
    run = smoke(*quick, "+trainer.max_time=00:01:00:00")
    assert "note    trainer.max_time may end the run before its schedule, OneCycleLR of 8 steps" in run.out
    assert "in every step" not in run.out
    assert NOTE % ("betas", [0.5, 0.9]) in smoke(*quick, "+optimizer.betas=[0.5,0.9]").out
    assert NOTE % ("momentum", 0.1) in smoke(*quick, "optimizer=sgd", "optimizer.momentum=0.1").out
    kept = smoke(*quick, "optimizer=sgd", "optimizer.momentum=0.1", "+scheduler.cycle_momentum=false")
    assert "note" not in kept.out
