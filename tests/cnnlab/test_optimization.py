"""Clipping works with the default optimizers in every precision, in Lightning's loop and in the fast one."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from cnnlab.building import build_classifier, build_data, build_model
from cnnlab.runs.quiet import quieten_libraries
from cnnlab.speed.hardware import Hardware
from cnnlab.trainer import build_trainer
from conftest import PROJECT

QUICK = ["model=linear", "logger=none", "callbacks={}", "data.train_size=40", "data.val_size=40", "data.batch_size=10"]


def config(*overrides: str) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        composed = compose("train", [*QUICK, *overrides])
    OmegaConf.set_struct(composed, False)
    return composed


def test_a_schedule_that_waits_gets_what_the_run_is_judged_by(without_data: None) -> None:
    datamodule = build_data(config())
    for monitor, mode in (("train/accuracy", "max"), ("val/loss", "min")):
        composed = config("scheduler=plateau", f"monitor={monitor}")
        model = build_model(composed, datamodule.input_shape, datamodule.num_classes)
        classifier = build_classifier(composed, model, datamodule)
        assert classifier.monitor == monitor
        assert classifier.scheduler(torch.optim.SGD(model.parameters())).mode == mode  # type: ignore[operator]


@pytest.fixture
def used() -> Iterator[list[Tensor]]:
    """The gradients of the last optimizer step, as the optimizer took them."""
    gradients: list[Tensor] = []

    def note(optimizer: Optimizer, *_: Any) -> None:
        gradients[:] = [it.grad.clone() for group in optimizer.param_groups for it in group["params"]]

    hook = register_optimizer_step_post_hook(note)
    yield gradients
    hook.remove()


@pytest.mark.parametrize(
    "precision",
    [pytest.param("bf16-mixed", marks=pytest.mark.slow), "32-true", pytest.param("64-true", marks=pytest.mark.slow)],
)
def test_gradients_are_clipped_with_every_optimizer(
    precision: str, used: list[Tensor], without_data: None, tmp_path: Path
) -> None:
    quieten_libraries()
    composed = {name: config(f"optimizer={name}", "trainer.max_epochs=1") for name in ("sgd", "adam", "adamw")}
    datamodule = build_data(composed["sgd"])
    norms, weights = {}, {}
    loops = (False, True) if precision != "64-true" else (False,)
    for case in itertools.product(composed, (None, "norm", "value"), (1, 2), loops):
        optimizer, algorithm, gathered, is_fast = case
        if gathered == 2 and (precision, optimizer) != ("32-true", "adamw"):
            continue
        settings = {"accumulate_grad_batches": gathered, "limit_val_batches": 1, "fast_loop": is_fast}
        if algorithm is not None:
            settings |= {"gradient_clip_val": 0.01, "gradient_clip_algorithm": algorithm}
        one = OmegaConf.merge(composed[optimizer], {"trainer": settings})
        assert isinstance(one, DictConfig)
        torch.manual_seed(0)
        model = build_model(one, datamodule.input_shape, datamodule.num_classes)
        classifier = build_classifier(one, model, datamodule)
        used.clear()
        trainer = build_trainer(one, tmp_path, Hardware("cpu", precision, "a CPU"), classifier)
        trainer.fit(classifier, datamodule=datamodule)
        norms[case] = float(get_total_norm(used))
        weights[case] = [parameter.detach() for parameter in model.parameters()]
        if algorithm == "value":
            assert max(float(gradient.abs().max()) for gradient in used) == pytest.approx(0.01, rel=0.01)
    for (_, algorithm, _, _), norm in norms.items():
        if algorithm == "norm":
            assert norm == pytest.approx(0.01, rel=0.02)
        elif algorithm is None:
            assert norm > 0.1
    for (*case, is_fast), ours in weights.items():
        if is_fast:
            assert all(map(torch.equal, ours, weights[*case, False]))
