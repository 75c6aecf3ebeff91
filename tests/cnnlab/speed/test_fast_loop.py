"""trainer=fast computes what Lightning's loop computes, to the bit, or leaves the run to Lightning and says why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import (
    GradientAccumulationScheduler,
    LambdaCallback,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from cnnlab.speed.fast_loop import FastLoop, why_not
from cnnlab.speed.stopwatch import Stopwatch
from conftest import Finished

FAST = "trainer.fast_loop=true"
QUICK = ["logger=none", "test=false", "data.val_size=100", "trainer.limit_val_batches=1", "trainer.max_epochs=2"]


def saved(folder: Path | None) -> dict[str, Any]:
    assert folder is not None
    content: dict[str, Any] = torch.load(folder / "checkpoints/last.ckpt")
    states = content["callbacks"]  # without seconds and paths
    content["callbacks"] = {key: states[key] for key in states if not key.startswith(("Throughput", "Checkpoint"))}
    return content


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert one == other


@pytest.mark.parametrize(
    "settings",
    [
        ["model=tinyvgg", "model.norm=batch", "model.dropout=0.2", "augment=shift", "callbacks=ema"],
        ["model=linear", "optimizer=sgd", "trainer.gradient_clip_val=0.01", "scheduler=step"],
        pytest.param(
            ["model=linear", "data.in_memory=false", "data.num_workers=0", "+trainer.val_check_interval=3"],
            marks=pytest.mark.slow,
        ),
        ["model=linear", "trainer.precision=bf16-mixed", "trainer.max_steps=11", "scheduler=none"],
    ],
    ids=lambda settings: settings[1],
)
def test_the_same_bits_and_counters(settings: list[str], smoke: Callable[..., Finished]) -> None:
    ours, lightnings = smoke(*QUICK, *settings, FAST), smoke(*QUICK, *settings)
    assert ours.status == 0, ours.err
    assert "trainer=fast" not in ours.out
    assert_same(saved(ours.folder), saved(lightnings.folder))
    assert ours.metrics["val/loss"] == lightnings.metrics["val/loss"]
    assert ours.metrics["train/loss"] == lightnings.metrics["train/loss"]


def test_a_resumed_run_ends_where_an_unbroken_one_does(
    smoke: Callable[..., Finished], train: Callable[..., Finished]
) -> None:
    settings = [*QUICK, "model=linear", "scheduler=none"]
    unbroken = smoke(*settings)
    stopped = smoke(*settings, FAST, "trainer.max_epochs=1")
    assert train(f"resume={stopped.folder}", "trainer.max_epochs=2").status == 0
    assert_same(saved(stopped.folder)["state_dict"], saved(unbroken.folder)["state_dict"])
    assert saved(stopped.folder)["global_step"] == 16


def test_where_it_cannot_be_had_the_reason_is_logged(smoke: Callable[..., Finished]) -> None:
    run = smoke(*QUICK, FAST, "model=linear", "trainer.max_epochs=1", "trainer.accumulate_grad_batches=2")
    assert run.status == 0
    assert "trainer=fast: Lightning's own loop is used, because gradients are accumulated over several" in run.out
    assert saved(run.folder)["global_step"] == 4


class Regression(LightningModule):
    """A module of somebody else's: a step without an index that returns a dict and logs, and hooks of its own."""

    def __init__(self, calls: list[str]) -> None:
        super().__init__()
        self.model = nn.Linear(3, 1)
        self.calls = calls

    def training_step(self, batch: list[Tensor]) -> dict[str, Tensor]:
        self.calls.append("training_step")
        loss = (self.model(batch[0]) - batch[1]).square().mean()
        self.log("loss_of_step", loss, on_step=True)
        return {"loss": loss, "inputs": batch[0]}

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.calls.append("validation_step")

    def on_before_zero_grad(self, optimizer: torch.optim.Optimizer) -> None:
        self.calls.append("module.on_before_zero_grad")

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.calls.append(f"module.on_before_optimizer_step {self.model.weight.grad.norm().item():.6f}")  # type: ignore[union-attr]

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.calls.append(f"module.on_train_batch_end {sorted(outputs)} {outputs['loss'].requires_grad}")

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step", "frequency": 2}}


class Listener(Callback):
    """Notes every hook of a step."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.calls.append(f"on_train_batch_start {batch_idx} {trainer.global_step}")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.calls.append(f"on_train_batch_end {batch_idx} {trainer.global_step} {trainer.is_last_batch}")

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self.calls.append(f"on_before_backward {loss.requires_grad}")

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.calls.append(f"on_after_backward {rate} {sorted(trainer.callback_metrics)}")


class Noting(Logger):
    """Notes what is logged."""

    name, version = "noting", 0

    def __init__(self, calls: list[str]) -> None:
        super().__init__()
        self.calls = calls

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.calls.append(f"log {step} {metrics}")


def calls_of(tmp_path: Path, fast: bool, resume: bool = False) -> list[str]:
    torch.manual_seed(0)
    calls: list[str] = []
    saving = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=3, save_top_k=-1)
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=Noting(calls),
        log_every_n_steps=1,
        callbacks=[Listener(calls), saving, LambdaCallback(on_before_zero_grad=lambda *_: calls.append("lambda"))],
        default_root_dir=tmp_path,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )
    if fast:
        trainer.fit_loop.epoch_loop = FastLoop(trainer)
    data = TensorDataset(torch.randn(20, 3), torch.randn(20, 1))
    path = tmp_path / "step=3.ckpt" if resume else None
    trainer.fit(Regression(calls), DataLoader(data, batch_size=4), DataLoader(data, batch_size=5), ckpt_path=path)
    return calls


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec", "ignore:.*that ended before")
@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_every_hook_is_called_in_lightnings_order(tmp_path: Path) -> None:
    expected = calls_of(tmp_path, fast=False)
    assert len(expected) > 80
    assert calls_of(tmp_path, fast=True) == expected
    rest = calls_of(tmp_path, fast=False, resume=True)
    assert len(rest) < len(expected)
    assert calls_of(tmp_path, fast=True, resume=True) == rest


class Own(Regression):
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int:
        return -1  # ends the epoch

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        loss.backward()


class PreparingItself(Regression):
    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch


class Twice(torch.optim.SGD):
    """Evaluates the step once more after it, as sharpness-aware minimisation does."""

    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        super().step(closure)  # type: ignore[arg-type]
        return closure()


class Doubling(LightningDataModule):
    """Changes batches that lie on the device already."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.ones(8, 3), torch.ones(8, 1)), batch_size=4)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return [2 * tensor for tensor in batch]


class Preparing(Doubling):
    """Changes batches before they are moved."""

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return [tensor + 1 for tensor in batch]


@pytest.mark.parametrize(("datamodule", "expected"), [(Doubling, 2.0), (Preparing, 4.0)])
@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec", "ignore:.*no `val_dataloader`")
@pytest.mark.filterwarnings("ignore:You defined a `validation_step`")
def test_a_data_module_that_changes_batches_is_asked(
    datamodule: type[LightningDataModule], expected: float, tmp_path: Path
) -> None:
    seen: list[float] = []
    noting = LambdaCallback(on_train_batch_start=lambda *args: seen.append(args[2][0].mean().item()))
    options: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    trainer = Trainer(
        **options,
        max_epochs=1,
        accelerator="cpu",
        callbacks=[noting],
        default_root_dir=tmp_path,
        enable_model_summary=False,
    )
    trainer.fit_loop.epoch_loop = FastLoop(trainer)
    trainer.fit(Regression([]), datamodule=datamodule())
    assert seen == [expected, expected]


@pytest.mark.parametrize(
    ("module", "arguments", "optimizer", "expected"),
    [
        (Regression, {}, torch.optim.SGD, None),
        (Regression, {"accumulate_grad_batches": 3}, torch.optim.SGD, "gradients are accumulated"),
        (Regression, {"precision": "64-true"}, torch.optim.SGD, "precision is 64-true"),
        (
            Regression,
            {"callbacks": GradientAccumulationScheduler({1: 2})},
            torch.optim.SGD,
            "GradientAccumulationSched",
        ),
        (
            Regression,
            {"callbacks": StochasticWeightAveraging(0.1)},
            torch.optim.SGD,
            "StochasticWeightAveraging changes",
        ),
        (Own, {}, torch.optim.SGD, "Own has its own on_train_batch_start, backward"),
        (PreparingItself, {}, torch.optim.SGD, "PreparingItself has its own on_before_batch_transfer"),
        (Regression, {}, torch.optim.LBFGS, "LBFGS may evaluate a step several times"),
        (Regression, {}, Twice, "Twice may evaluate a step several times"),
    ],
)
def test_what_only_lightning_can_do(
    module: type[Regression], arguments: dict[str, Any], optimizer: Any, expected: str | None, tmp_path: Path
) -> None:
    trainer = Trainer(**arguments, accelerator="cpu", logger=False, default_root_dir=tmp_path, barebones=False)
    built = module([])
    trainer.strategy.connect(built)
    trainer.strategy.optimizers = [optimizer(built.parameters(), lr=0.1)]
    reason = why_not(trainer)
    assert reason is None if expected is None else expected in str(reason)


def test_its_time_is_split_like_lightnings(smoke: Callable[..., Finished]) -> None:
    time = smoke(*QUICK, FAST, "model=tinyvgg").time
    assert min(time[stage] for stage in ("data_wait", "copy", "forward_backward", "optimizer")) > 0
    assert sum(time[stage] for stage in [*Stopwatch().seconds, "overhead", "validation"]) == pytest.approx(1, abs=1e-3)
    assert time["forward_backward"] > time["optimizer"]
