"""The pretrained layers stand still at first and then learn more slowly, in both loops and beside an average."""

import copy
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from omegaconf import DictConfig, OmegaConf
from torch import nn

from cnnlab.blocks.weights import last_layer
from cnnlab.building import build_classifier, build_data, build_model
from cnnlab.callbacks.finetune import Finetune
from cnnlab.callbacks.weight_average import WeightAverage
from cnnlab.classifier import Classifier
from cnnlab.runs.quiet import quieten_libraries
from cnnlab.speed.hardware import Hardware
from cnnlab.trainer import build_trainer
from test_config import composed

SMALL = ["model.norm=batch", "model.dropout=0.5", "logger=none", "callbacks={}", "optimizer.lr=0.02"]
SMALL += ["data.train_size=100", "data.val_size=40", "data.batch_size=20", "trainer.max_epochs=3"]


def config(*overrides: str) -> DictConfig:
    made = composed(*SMALL, *overrides)
    OmegaConf.set_struct(made, False)
    return made


class Watch(Finetune):
    """Notes the state of the network and the rates at the start of every epoch."""

    def __init__(self, frozen_epochs: int) -> None:
        super().__init__(frozen_epochs)
        self.states: list[dict[str, torch.Tensor]] = []
        self.rates: list[list[float]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Classifier) -> None:  # type: ignore[override]
        super().on_train_epoch_start(trainer, pl_module)
        self.states.append(copy.deepcopy(pl_module.model.state_dict()))
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])


@pytest.mark.parametrize(("is_fast", "scheduler"), [(True, "onecycle"), (False, "cosine")])
def test_all_but_the_last_layer_stand_still_and_then_learn_slowly(
    is_fast: bool, scheduler: str, without_data: None, tmp_path: Path
) -> None:
    quieten_libraries()
    run = config(f"scheduler={scheduler}", f"trainer.fast_loop={is_fast}")
    data = build_data(run)
    model = build_model(run, data.input_shape, data.num_classes)
    classifier = build_classifier(run, model, data)
    trainer = build_trainer(run, tmp_path, Hardware("cpu", "32-true", "a CPU"), classifier)
    watch = Watch(frozen_epochs=2)
    trainer.callbacks += [watch, WeightAverage(0.5)]  # type: ignore[attr-defined]
    trainer.fit(classifier, datamodule=data)
    first, second, third = watch.states
    head = f"{last_layer(classifier.model)}.weight"
    backbone = [name for name in first if not name.startswith(head.partition(".")[0])]
    assert any("running_mean" in name for name in backbone)
    for name in backbone:
        assert torch.equal(first[name], third[name]), name
        assert not torch.equal(third[name], classifier.model.state_dict()[name]), name
    assert not torch.equal(first[head], second[head])
    assert all(slow == pytest.approx(0.1 * fast) for fast, slow in watch.rates)
    assert watch.rates[1][0] > 0.01
    assert all(parameter.requires_grad for parameter in classifier.parameters())
    assert all(layer.training for layer in classifier.model.modules())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frozen_epochs": -1}, "frozen_epochs must not be negative, got -1"),
        ({"rate_factor": -0.1}, "rate_factor must not be negative, got -0.1"),
    ],
)
def test_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Finetune(**settings)  # type: ignore[arg-type]


def test_a_parameter_outside_the_network_keeps_the_full_rate() -> None:
    classifier = Classifier(
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10)), None, None, (1, 8, 8), 10
    )  # type: ignore[arg-type]
    classifier.temperature = nn.Parameter(torch.ones(1))
    full, slow = Finetune().parameter_groups(classifier)
    assert [parameter.shape for parameter in slow["params"]] == [(2, 1, 3, 3), (2,)]
    assert len(full["params"]) == 3
