"""A lean step does the same as Lightning's own, to the bit, and only empty hooks are left out of it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback, LearningRateMonitor, ModelCheckpoint
from torch import nn

from cnnlab.callbacks.checkpoint import Checkpoint
from cnnlab.speed import lean, lightning_internals
from conftest import Finished

QUICK = ["logger=none", "data.val_size=100", "trainer.limit_val_batches=1", "trainer.max_epochs=2"]
TIMES = ("train_seconds", "images_per_second")


class Module(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        pass


class Listener(Callback):
    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pass


class Inheriting(Listener):
    pass


class Registry(LightningModule):
    known: ClassVar[list[str]] = []

    def __init_subclass__(cls, *, task: str) -> None:
        cls.known.append(cls.__name__)


class Registered(Registry, task="classes"):
    pass


@dataclass(frozen=True)
class Frozen(Callback):
    every: int


def applied(module: LightningModule, *callbacks: Callback) -> None:
    trainer: Any = SimpleNamespace(callbacks=list(callbacks))
    lean.apply(trainer, module)


def saved(folder: Path | None) -> dict[str, Any]:
    """last.ckpt without seconds and paths."""
    assert folder is not None
    content: dict[str, Any] = torch.load(folder / "checkpoints/last.ckpt")
    states = content["callbacks"]
    content["callbacks"] = {key: states[key] for key in states if not key.startswith(("Throughput", "Checkpoint"))}
    return content


def flat(content: Any) -> Any:
    """The same with lists in place of tensors, which == compares."""
    if isinstance(content, dict):
        return {key: flat(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [flat(value) for value in content]
    return content.tolist() if isinstance(content, torch.Tensor) else content


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(["model=tinyvgg", "model.norm=batch", "augment=shift", "callbacks=ema"], marks=pytest.mark.slow),
        ["model=linear", "trainer.accumulate_grad_batches=2", "+trainer.val_check_interval=4"],
    ],
    ids=lambda settings: settings[0],
)
def test_the_same_numbers_and_checkpoints_with_and_without(settings: list[str], smoke: Callable[..., Finished]) -> None:
    with_it, without = (smoke(*QUICK, *settings, f"trainer.lean={lean}") for lean in ("true", "false"))
    assert with_it.status == without.status == 0, with_it.err + without.err
    assert flat(saved(with_it.folder)) == flat(saved(without.folder))
    assert {name: value for name, value in with_it.metrics.items() if name not in TIMES} == {
        name: value for name, value in without.metrics.items() if name not in TIMES
    }


@pytest.mark.parametrize(
    ("guest", "kept"),
    [
        (Inheriting(), {"on_after_backward"}),
        (ModelCheckpoint(), {"on_train_batch_end"}),
        (Checkpoint(), set()),
        (LearningRateMonitor(), {"on_train_batch_start"}),
        (LambdaCallback(on_before_backward=print), {"on_before_backward"}),
        (Callback(), set()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_hooks_that_somebody_has_written_stay(guest: Callback, kept: set[str]) -> None:
    module = Module()
    applied(module, guest)
    hooks = ["on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward"]
    hooks += ["on_before_optimizer_step", "on_train_batch_end"]
    assert {name for name in hooks if callable(getattr(guest, name))} == kept
    assert {name for name in hooks if callable(getattr(module, name))} == {"on_train_batch_end"}
    assert callable(guest.on_train_epoch_end)
    assert callable(guest.on_validation_batch_end)


def test_the_module_is_what_it_was() -> None:
    module = Module()
    applied(module)
    assert isinstance(module, Module)
    assert (type(module).__name__, type(module).__qualname__) == ("Module", "Module")
    module.other = nn.Linear(3, 1)
    assert "other.weight" in module.state_dict()
    twin = copy.deepcopy(module)
    twin.layer.weight.data.zero_()
    assert module.layer.weight.abs().sum() > 0


def test_a_class_that_knows_its_subclasses_and_a_callback_that_does_not_change() -> None:
    module, callback = Registered(), Frozen(2)
    applied(module, callback)
    assert Registered.known == ["Registered"]
    assert type(module) is Registered
    assert {callback.on_train_batch_end, module.on_after_backward} == {None}


def test_without_the_name_that_it_needs_the_run_goes_on_and_says_so(
    smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {("lightning.pytorch", "LightningModule"): ["_gone"]}
    monkeypatch.setattr(lightning_internals, "LEAN", gone)
    monkeypatch.setattr(lightning_internals, "FAST_LOOP", gone)
    run = smoke(*QUICK, "model=linear", "trainer.fast_loop=true", "test=false")
    assert run.status == 0, run.err
    lines = [line for line in run.out.splitlines() if "has no LightningModule._gone" in line]
    assert [line.split(":")[0] for line in lines] == ["note    trainer.lean is not used", "trainer=fast"]
