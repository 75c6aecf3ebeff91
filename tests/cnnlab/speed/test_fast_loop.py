"""The fast loop computes what Lightning's does, to the bit, or leaves the run to Lightning and says why if asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import (
    GradientAccumulationScheduler,
    LambdaCallback,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from lightning.pytorch.loggers import Logger
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from cnnlab.building import build_classifier, build_data, build_model
from cnnlab.data.datamodule import DataModule
from cnnlab.runs.quiet import quieten_libraries
from cnnlab.speed import lightning_internals
from cnnlab.speed.fast_loop import FastLoop, why_not
from cnnlab.speed.hardware import Hardware
from cnnlab.speed.stopwatch import Stopwatch
from cnnlab.trainer import build_trainer
from conftest import Finished
from test_config import composed

FAST, LIGHTNINGS = "trainer.fast_loop=true", "trainer.fast_loop=false"
IN_PROCESS = ["model=linear", "logger=none", "data.train_size=60", "data.val_size=40", "data.batch_size=20"]
IN_PROCESS += ["data.root=nowhere", "trainer.max_epochs=3", "optimizer.lr=0.02"]
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
    ours, lightnings = smoke(*QUICK, *settings, FAST), smoke(*QUICK, *settings, LIGHTNINGS)
    assert ours.status == 0, ours.err
    assert "own loop" not in ours.out
    assert_same(saved(ours.folder), saved(lightnings.folder))
    assert ours.metrics["val/loss"] == lightnings.metrics["val/loss"]
    assert ours.metrics["train/loss"] == lightnings.metrics["train/loss"]


def test_a_resumed_run_ends_where_an_unbroken_one_does(
    smoke: Callable[..., Finished], train: Callable[..., Finished]
) -> None:
    settings = [*QUICK, "model=linear", "scheduler=none"]
    unbroken = smoke(*settings, LIGHTNINGS)
    stopped = smoke(*settings, "trainer.max_epochs=1")
    assert train(f"resume={stopped.folder}", "trainer.max_epochs=2").status == 0
    assert_same(saved(stopped.folder)["state_dict"], saved(unbroken.folder)["state_dict"])
    assert saved(stopped.folder)["global_step"] == 16


@pytest.mark.parametrize(("asked", "is_told"), [([FAST], True), (["trainer.cuda_graph=true"], True), ([], False)])
def test_where_it_cannot_be_had_who_asked_for_it_reads_the_reason(
    asked: list[str], is_told: bool, smoke: Callable[..., Finished]
) -> None:
    run = smoke(*QUICK, *asked, "model=linear", "trainer.max_epochs=1", "trainer.accumulate_grad_batches=2")
    assert run.status == 0
    reason = "note    trainer.fast_loop: Lightning's own loop is used, because gradients are accumulated over several"
    assert (reason in run.out) == is_told
    assert saved(run.folder)["global_step"] == 4


def test_the_fast_loop_is_the_default_and_its_absence_is_no_failure(
    smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    advance = FastLoop.advance
    monkeypatch.setattr(
        FastLoop, "advance", lambda loop, fetcher: (steps.append(loop.batch_idx), advance(loop, fetcher))
    )
    quick = [*QUICK, "model=linear", "trainer.max_epochs=1"]
    assert smoke(*quick).status == 0
    assert len(steps) == 8
    assert smoke(*quick, LIGHTNINGS).status == 0
    gone = {("lightning.pytorch", "LightningModule"): ["_gone"]}
    monkeypatch.setattr(lightning_internals, "FAST_LOOP", gone)
    assert smoke(*quick).status == 0
    assert len(steps) == 8
    run = smoke(*quick, FAST)
    assert run.status == 0, run.err
    assert "trainer.fast_loop: Lightning's own loop is used, because Lightning" in run.out
    assert "has no LightningModule._gone" in run.out


def test_who_asks_for_cuda_graphs_where_there_is_no_gpu_is_told(smoke: Callable[..., Finished]) -> None:
    run = smoke(*QUICK, "model=linear", "trainer.max_epochs=1", "trainer.cuda_graph=true")
    assert run.status == 0, run.err
    assert run.out.count("note    trainer.cuda_graph: no graph, because only an NVIDIA GPU has them") == 1


def test_a_value_that_is_none_is_refused(smoke: Callable[..., Finished]) -> None:
    run = smoke("trainer.fast_loop=always")
    assert run.status != 0
    assert "trainer.fast_loop must be auto, true or false, got 'always'" in run.err


@pytest.fixture(scope="module")
def tiny_data() -> DataModule:
    made = composed(*IN_PROCESS)
    OmegaConf.set_struct(made, False)
    return build_data(made)


def trained(settings: list[str], data: DataModule, folder: Path) -> tuple[dict[str, Any], bool]:
    """The last checkpoint of a run in this process, and whether the fast loop has run it."""
    quieten_libraries()
    made = composed(*IN_PROCESS, *settings)
    OmegaConf.set_struct(made, False)
    seed_everything(0, verbose=False)
    classifier = build_classifier(made, build_model(made, data.input_shape, data.num_classes), data)
    trainer = build_trainer(made, folder, Hardware("cpu", made.trainer.precision, "a CPU"), classifier)
    trainer.fit(classifier, datamodule=data)
    loop = trainer.fit_loop.epoch_loop
    is_fast = isinstance(loop, FastLoop) and loop.is_in_use
    content: dict[str, Any] = torch.load(folder / "checkpoints/last.ckpt")
    states = content["callbacks"]
    content["callbacks"] = {key: states[key] for key in states if not key.startswith(("Throughput", "Checkpoint"))}
    return content, is_fast


SETTINGS = [
    ["scheduler=none", "+trainer.gradient_clip_val=0.01"],
    ["scheduler=onecycle", "callbacks=ema"],
    ["scheduler=plateau", "callbacks=early_stopping", "callbacks.early_stopping.patience=1"],
    ["scheduler=step", "callbacks=finetune", "callbacks.finetune.frozen_epochs=1"],  # only: zoo
    ["scheduler=cosine", "+trainer.gradient_clip_val=0.01", "+trainer.gradient_clip_algorithm=value"],
]
OPTIMIZERS, PRECISIONS = ("sgd", "adam", "adamw"), ("32-true", "bf16-mixed", "64-true")


@pytest.mark.parametrize(
    ("settings", "optimizer", "precision"),
    [
        # each setting once with changing partners, all combinations where there is time
        pytest.param(
            settings,
            optimizer,
            precision,
            marks=[] if (row - column) % 3 == 0 and (row + column + depth) % 3 == 0 else pytest.mark.slow,
            id=f"{settings[0]}-{optimizer}-{precision}",
        )
        for row, settings in enumerate(SETTINGS)
        for column, optimizer in enumerate(OPTIMIZERS)
        for depth, precision in enumerate(PRECISIONS)
    ],
)
def test_every_setting_to_the_bit(
    settings: list[str], optimizer: str, precision: str, tiny_data: DataModule, tmp_path: Path
) -> None:
    given = [f"optimizer={optimizer}", f"trainer.precision={precision}", *settings]
    ours, is_fast = trained(given, tiny_data, tmp_path / "ours")
    lightnings, _ = trained([*given, LIGHTNINGS], tiny_data, tmp_path / "lightnings")
    assert is_fast == (precision != "64-true")
    assert_same(ours, lightnings)


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


class Iterating(Regression):
    def training_step(self, dataloader_iter: Any) -> Any:  # type: ignore[override]
        return super().training_step(next(dataloader_iter)[0])


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


def namesake() -> type[LightningDataModule]:
    class DataModule(Doubling):
        """Has the name of this project's data module, as those of many have."""

        def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
            return [3 * tensor for tensor in batch]

    DataModule.transfer_batch_to_device.__qualname__ = "DataModule.transfer_batch_to_device"  # as in a file of its own
    return DataModule


@pytest.mark.parametrize(("datamodule", "expected"), [(Doubling, 2.0), (Preparing, 4.0), (namesake(), 3.0)])
@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec", "ignore:.*no `val_dataloader`")
@pytest.mark.filterwarnings("ignore:You defined a `validation_step`")
def test_a_data_module_that_changes_batches_is_asked(
    datamodule: type[LightningDataModule], expected: float, tmp_path: Path
) -> None:
    seen: list[float] = []
    noting = LambdaCallback(on_train_batch_start=lambda *args: seen.append(args[2][0].mean().item()))
    trainer = quiet_trainer(tmp_path, noting)
    trainer.fit(Regression([]), datamodule=datamodule())
    assert seen == [expected, expected]


class Plain(Regression):
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        assert (outputs is None) == (batch is None)


def quiet_trainer(folder: Path, *callbacks: Callback) -> Trainer:
    options: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    options |= {"max_epochs": 1, "accelerator": "cpu", "enable_model_summary": False, "default_root_dir": folder}
    trainer = Trainer(**options, callbacks=list(callbacks))
    trainer.fit_loop.epoch_loop = FastLoop(trainer)
    return trainer


class Forgetful(Regression):
    """Returns what is no loss."""

    def __init__(self, output: Any) -> None:
        super().__init__([])
        self.output = output

    def training_step(self, batch: list[Tensor]) -> Any:
        return self.output


@pytest.mark.parametrize(("output", "expected"), [({"los": 1}, "'loss' key needs"), (0.5, "a Tensor, a dict, or None")])
@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*no `val_dataloader`")
@pytest.mark.filterwarnings("ignore:You defined a `validation_step`", "ignore:.*LeafSpec")
def test_lightning_explains_what_is_no_loss(output: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(MisconfigurationException, match=expected):
        quiet_trainer(tmp_path).fit(Forgetful(output), datamodule=Doubling())


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec", "ignore:.*no `val_dataloader`")
@pytest.mark.filterwarnings("ignore:You defined a `validation_step`")
def test_a_batch_of_nothing_is_passed_over(tmp_path: Path) -> None:
    batches = DataLoader([1, 0, 1], batch_size=1, collate_fn=lambda it: [torch.ones(1, 3)] * 2 if it[0] else None)  # type: ignore[arg-type, var-annotated]
    trainer = quiet_trainer(tmp_path)
    with pytest.warns(match="train_dataloader yielded None"):
        trainer.fit(Plain([]), batches)
    assert trainer.global_step == 2


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
        (Iterating, {}, torch.optim.SGD, "Iterating.training_step takes its batches from dataloader_iter"),
        (Regression, {"profiler": "simple"}, torch.optim.SGD, "SimpleProfiler looks into every part"),
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
    time = smoke(*QUICK, "model=tinyvgg").time
    assert min(time[stage] for stage in ("data_wait", "copy", "forward_backward", "optimizer")) > 0
    assert sum(time[stage] for stage in [*Stopwatch().seconds, "overhead", "validation"]) == pytest.approx(1, abs=1e-3)
    assert time["forward_backward"] > time["optimizer"]
