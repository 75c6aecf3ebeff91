"""The shipped searches: every point builds a network on 28x28, and the settings say what the project promises."""

import random
from pathlib import Path

import pytest
import torch
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from packaging.version import Version

from async_optuna.hydra_app.first_points import Baseline
from async_optuna.hydra_app.job import HydraJob
from async_optuna.hydra_app.space_of_overrides import build_space, fixed_overrides
from async_optuna.space import Parameter, Point, Space
from cnnlab.blocks.shapes import output_shape
from conftest import PROJECT

SWEEPS = sorted(path.stem for path in (PROJECT / "conf/sweep").glob("*.yaml") if path.stem != "settings")


def opened(name: str, *arguments: str) -> tuple[Space, Baseline, DictConfig]:
    """The space of a shipped search, as `python train.py -m sweep=<name> <arguments>` would see it."""
    GlobalHydra.instance().clear()
    hydra = Hydra.create_main_hydra2("train", create_config_search_path(str(PROJECT / "conf")))
    config = hydra.compose_config("train", [f"sweep={name}", *arguments], run_mode=RunMode.MULTIRUN)
    job = HydraJob(print, hydra.config_loader, config, Version("1.3"), "train.py")
    parser = OverridesParser.create(config_loader=hydra.config_loader)
    settings, given = config.hydra.sweeper, [f"sweep={name}", *arguments]
    baseline = Baseline(job, fixed_overrides(settings.params, given, parser))
    return build_space(settings.params, settings.conditional, given, parser, baseline.text), baseline, settings


def random_point(space: Space, dice: random.Random) -> tuple[Point, list[str]]:
    def choose(parameter: Parameter) -> object:
        distribution = parameter.distribution
        if isinstance(distribution, CategoricalDistribution):
            return dice.choice(distribution.choices)
        if isinstance(distribution, IntDistribution):
            return dice.randint(distribution.low, distribution.high)
        assert isinstance(distribution, FloatDistribution)
        return dice.uniform(distribution.low, distribution.high)

    return space.walk(choose)


@pytest.mark.parametrize("name", SWEEPS)
def test_random_points_build_a_model_on_28x28(name: str) -> None:
    space, baseline, _ = opened(name)
    dice = random.Random(0)
    models: dict[str, DictConfig] = {}  # composed once for each choice of the group model
    built = set()
    for _ in range(20):
        point, overrides = random_point(space, dice)
        settings = [override.lstrip("+") for override in overrides if override.lstrip("+").startswith("model.")]
        choice = {"model": point["model"]} if "model" in point else {}
        if repr(choice) not in models:
            models[repr(choice)] = baseline.with_groups(choice).config.model
        if (repr(choice), *settings) in built:
            continue
        built.add((repr(choice), *settings))
        model = OmegaConf.merge(models[repr(choice)], OmegaConf.from_dotlist(settings).get("model", {}))
        with torch.device("meta"):  # no memory, no arithmetic
            net = instantiate(model, input_shape=(1, 28, 28), num_classes=10)
        assert output_shape(net, (1, 28, 28)) == (10,), overrides
        assert isinstance(net, torch.nn.Module)


@pytest.mark.parametrize("name", SWEEPS)
def test_no_trial_tests_and_none_falls_back_on_other_data(name: str) -> None:
    space, _, settings = opened(name)
    for seed in range(20):
        overrides = random_point(space, random.Random(seed))[1]
        assert "test=false" in overrides
        assert "data.allow_subset=false" in overrides
    assert "test=true" in settings.retrain


def test_a_search_may_be_told_to_take_the_embedded_digits() -> None:
    overrides = random_point(opened("tinyvgg", "data.allow_subset=true")[0], random.Random(0))[1]
    assert "data.allow_subset=true" in overrides
    assert "data.allow_subset=false" not in overrides


def test_other_data_sets_are_not_given_a_key_they_do_not_have() -> None:
    overrides = random_point(opened("tinyvgg", "data=npz")[0], random.Random(0))[1]
    assert not [override for override in overrides if "allow_subset" in override]


def test_the_default_search_covers_what_the_course_asks_about() -> None:
    space, _, _ = opened("tinyvgg")
    names = {parameter.name for parameter in space.parameters}
    names |= {parameter.name for branch in space.branches for parameter in branch.parameters}
    assert {
        "data.batch_size",
        "optimizer",
        "optimizer.lr",
        "augment",
        *(f"model.{key}" for key in ("hidden_units", "num_blocks", "convs_per_block", "kernel_size", "stride")),
        *(f"model.{key}" for key in ("padding", "pool", "norm", "activation", "dropout")),
    } <= names
    batch_size = next(parameter for parameter in space.parameters if parameter.name == "data.batch_size")
    assert list(batch_size.texts.values()) == ["32", "64", "128", "256", "512"]
    rates = [p.distribution for b in space.branches for p in b.parameters if p.name == "optimizer.lr"]
    assert len(rates) == 3
    assert all(isinstance(rate, FloatDistribution) and rate.log for rate in rates)


def test_the_batch_size_study_is_every_size_and_seed_at_both_learning_rates_and_nothing_twice() -> None:
    space, _, settings = opened("batch_size")
    points = [space.walk(iter_values(point)) for point in space.points()]
    seen = set()
    for point, overrides in points:
        rate = next(override for override in overrides if override.startswith("optimizer.lr="))
        seen.add((point["data.batch_size"], point["seed"], rate))
    assert len(seen) == len(points) == settings.n_trials == 27
    scaled = {size: rate for size, seed, rate in seen if seed == 0 and rate != "optimizer.lr=0.005"}
    for size, rate in scaled.items():
        assert float(rate.partition("=")[2]) == pytest.approx(0.005 * (size / 32) ** 0.5, rel=0.01)


def iter_values(point: Point):  # type: ignore[no-untyped-def]
    return lambda parameter: point[parameter.name]


def test_one_learning_rate_on_the_command_line_counts_in_every_branch() -> None:
    space, _, _ = opened("tinyvgg", "++optimizer.lr=0.01", "model.stride=1")
    for seed in range(20):
        point, overrides = random_point(space, random.Random(seed))
        assert "++optimizer.lr=0.01" in overrides
        assert not {"optimizer.lr", "model.stride"} & set(point)
        assert "model.padding" in point


def test_every_sweep_file_opens_with_its_command() -> None:
    for path in Path(PROJECT / "conf/sweep").glob("*.yaml"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0] == "# @package _global_"
        if path.stem != "settings":
            assert lines[1] == f"# python train.py -m sweep={path.stem}"
