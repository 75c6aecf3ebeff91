"""A trial's config, composed in two steps, is what Hydra makes of the same overrides."""

from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hydra.version import Version
from omegaconf import OmegaConf

from cnnlab.sweep.worker import Job
from conftest import PROJECT
from hydra_plugins.async_optuna_sweeper._job import HydraJob

OVERRIDES = [
    [],
    ["data.batch_size=64", "optimizer.lr=0.01"],
    ["model=lenet5", "data.batch_size=64"],
    ["data.batch_size=64", "model=resnet", "trainer.max_epochs=3"],
    ["experiment=resnet_mnist", "seed=1"],
    ["+optimizer@second=sgd", "second.lr=1.0"],
    ["optimizer=sgd", "++optimizer.nesterov=false", "+extra=1"],
    ["~scheduler", "seed=3"],
    ["~trainer.max_epochs"],
    ["data.root='a, b=c'", "hydra.job.name=other"],
    ["hydra/job_logging=disabled", "seed=2"],
]


@pytest.fixture
def job() -> HydraJob:
    GlobalHydra.instance().clear()
    hydra = Hydra.create_main_hydra2("train", create_config_search_path(str(PROJECT / "conf")))
    config = hydra.compose_config("train", ["hydra/sweeper=async_optuna"], run_mode=RunMode.MULTIRUN)
    return HydraJob(print, hydra.config_loader, config, Version("1.3"), "train.py")


def text(config: object) -> str:
    return OmegaConf.to_yaml(config, resolve=False)


@pytest.mark.parametrize("overrides", OVERRIDES, ids=" ".join)
def test_same_as_hydra(overrides: list[str], job: HydraJob) -> None:
    job.compose(["seed=7", *overrides])  # nothing of an earlier trial may remain
    expected = text(job.config_loader.load_sweep_config(job.config, overrides))
    assert text(job.compose(overrides)) == expected
    bound = job.bound(Job(0, overrides, Path("0")))
    assert bound.is_composed
    assert text(bound.config) == expected


def test_what_cannot_be_composed_is_left_to_the_trial(job: HydraJob) -> None:
    assert not job.bound(Job(0, ["no_such_key=1"], Path("0"))).is_composed
