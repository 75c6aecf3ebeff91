"""A trial's config, composed in two steps, is what Hydra makes of the same overrides."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hydra.version import Version, VersionBase
from omegaconf import DictConfig, OmegaConf

from async_optuna.errors import SearchError
from async_optuna.hydra_app.job import HydraJob
from async_optuna.hydra_app.objectives import objectives
from async_optuna.worker import Job
from cnnlab.cli.search_defaults import complete_search
from cnnlab.errors import UserError
from conftest import PROJECT

OVERRIDES = [
    [],
    ["data.batch_size=64", "optimizer.lr=0.01"],
    ["model=linear", "data.batch_size=64"],
    ["data.batch_size=64", "model=linear", "trainer.max_epochs=3"],
    ["experiment=tinyvgg_mnist", "seed=1"],
    ["+optimizer@second=sgd", "second.lr=1.0"],
    ["optimizer=sgd", "++optimizer.nesterov=false", "+extra=1"],
    ["~scheduler", "seed=3"],
    ["~trainer.max_epochs"],
    ["data.root='a, b=c'", "hydra.job.name=other"],
    ["hydra/job_logging=disabled", "seed=2"],
]


@pytest.fixture(scope="module")
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


def test_a_process_that_only_runs_what_was_composed_knows_hydras_version(
    job: HydraJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise Hydra changes into the trial's folder as in earlier versions, and relative paths lead nowhere."""
    monkeypatch.chdir(tmp_path)
    places: list[Path] = []
    bound = replace(job, task=lambda config: places.append(Path.cwd())).bound(Job(0, ["seed=1"], tmp_path / "0"))
    monkeypatch.setattr(VersionBase.instance(), "version_base", Version("1.1"))
    bound(Job(0, ["seed=1"], tmp_path / "0"))
    assert places == [tmp_path]


def composed(overrides: list[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    hydra = Hydra.create_main_hydra2("train", create_config_search_path(str(PROJECT / "conf")))
    return hydra.compose_config("train", ["hydra/sweeper=async_optuna", *overrides], run_mode=RunMode.MULTIRUN)


@pytest.mark.parametrize(
    ("overrides", "metric", "directions"),
    [
        ([], "val/accuracy", ["maximize"]),
        (["monitor=val/loss"], "val/loss", ["minimize"]),
        (["monitor=val/quality", "mode=min"], "val/quality", ["minimize"]),
        (["hydra.sweeper.direction=${mode}imize"], None, ["maximize"]),
        (["sweep=tinyvgg", "monitor=val/loss"], "val/loss", ["minimize"]),
        (["sweep=tradeoff"], ["val/accuracy", "num_parameters"], ["maximize", "minimize"]),
        (["sweep=tradeoff", "monitor=val/loss"], ["val/loss", "num_parameters"], ["minimize", "minimize"]),
        (["~monitor"], None, ["minimize"]),
    ],
)
def test_a_search_goes_where_monitor_and_mode_say(
    overrides: list[str], metric: str | list[str] | None, directions: list[str]
) -> None:
    config = composed(overrides)
    complete_search(config)
    assert objectives(config) == (metric, directions)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["hydra.sweeper.direction=minimize"], None),  # nobody has said of what
        (["hydra.sweeper.metric=val/quality", "hydra.sweeper.direction=minimize"], None),
        (
            ["hydra.sweeper.metric=val/accuracy", "hydra.sweeper.direction=minimize"],
            "hydra.sweeper.direction=minimize contradicts val/accuracy",
        ),
        (
            ["hydra.sweeper.metric=[val/accuracy,num_parameters]", "hydra.sweeper.direction=[maximize,maximize]"],
            "hydra.sweeper.direction=maximize contradicts num_parameters",
        ),
        (["trainer=ddp"], None),  # all that a trial sees
        (["trainer=ddp", "trainer.devices=2"], "trainer.devices=2 needs hydra.sweeper.gpus_per_trial=2, got 1"),
        (["trainer=ddp", "trainer.devices=2", "hydra.sweeper.gpus_per_trial=2"], None),
        (["trainer=ddp_cpu"], None),
    ],
)
def test_what_contradicts_itself_is_refused(overrides: list[str], message: str | None) -> None:
    with nullcontext() if message is None else pytest.raises(UserError, match=message):
        complete_search(composed(overrides))


def test_a_direction_that_nothing_tells_is_asked_for() -> None:
    with pytest.raises(SearchError, match="mode=None does not say in which direction val/accuracy is to go"):
        objectives(composed([]))
