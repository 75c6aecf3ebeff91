"""Importances: a setting that matters is told from those that do not, whatever kind of setting it is."""

import math
import random
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, create_trial

from cnnlab.workbench.study_reports.fanova import importances

ROOM = FloatDistribution(0, 1)
LR = FloatDistribution(1e-4, 1.0, log=True)
NET = CategoricalDistribution(("cnn", "mlp", "vit"))


def trial(params: dict[str, Any], distributions: dict[str, BaseDistribution], value: float) -> FrozenTrial:
    used = {name: distributions[name] for name in params}
    return create_trial(params=params, distributions=used, value=value)


def found(trials: list[FrozenTrial], names: list[str]) -> dict[str, float]:
    values = np.array([trial.value for trial in trials], dtype=float)
    return {name: importance.share for name, importance in importances(trials, values, names).items()}


def test_the_only_category_that_matters_is_told_from_noise() -> None:
    dice = random.Random(0)
    trials = []
    for _ in range(40):
        params = {"net": dice.choice(NET.choices), "a": dice.random(), "b": dice.random()}
        trials.append(trial(params, {"net": NET, "a": ROOM, "b": ROOM}, float(params["net"] == "cnn")))
    shares = found(trials, ["a", "net", "b"])
    assert next(iter(shares)) == "net"
    assert shares["net"] > 0.95
    assert shares["a"] + shares["b"] < 0.02


def test_the_same_shares_as_optunas_where_optuna_has_them() -> None:
    dice = random.Random(1)
    trials = []
    for _ in range(60):
        params = {"a": dice.random(), "b": dice.random(), "c": dice.random()}
        trials.append(trial(params, dict.fromkeys("abc", ROOM), 2 * params["a"] + params["b"] ** 2))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler())
    study.add_trials(trials)
    theirs = optuna.importance.FanovaImportanceEvaluator(n_trees=16, seed=0).evaluate(study)
    ours = found(trials, ["a", "b", "c"])
    assert ours == pytest.approx(theirs, abs=0.06)


@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1e12])
def test_the_unit_of_the_values_does_not_matter(scale: float) -> None:
    dice = random.Random(4)
    points = [{"a": dice.random(), "b": dice.random()} for _ in range(30)]
    trials, scaled = (
        [trial(point, {"a": ROOM, "b": ROOM}, unit * (2 * point["a"] + point["b"])) for point in points]
        for unit in (1.0, scale)
    )
    assert found(scaled, ["a", "b"]) == pytest.approx(found(trials, ["a", "b"]), abs=0.02)


def test_a_learning_rate_counts_by_its_logarithm() -> None:
    dice = random.Random(2)
    trials = []
    for _ in range(60):
        lr, a = 10 ** dice.uniform(-4, 0), dice.random()
        trials.append(trial({"lr": lr, "a": a}, {"lr": LR, "a": ROOM}, math.log10(lr) + a))
    assert found(trials, ["lr", "a"])["lr"] > 0.85


def test_a_parameter_of_some_trials_counts_where_it_is_set() -> None:
    """And not for its being set, which is its parent's doing."""
    dice = random.Random(3)
    trials = []
    for _ in range(80):
        params: dict[str, Any] = {"net": dice.choice(["cnn", "mlp"])}
        params["width" if params["net"] == "cnn" else "depth"] = dice.random()
        value = 3.0 + params["width"] if "width" in params else 0.0
        trials.append(trial(params, {"net": NET, "width": ROOM, "depth": ROOM}, value))
    shares = found(trials, ["net", "width", "depth"])
    assert list(shares) == ["net", "width", "depth"]
    assert shares["depth"] < 0.005
    assert 0.001 < shares["width"] < 0.1


def test_repeatable_and_empty_where_nothing_differs() -> None:
    trials = [trial({"a": i / 30}, {"a": ROOM}, i % 7) for i in range(30)]
    assert found(trials, ["a"]) == found(trials, ["a"])
    assert found([trial({"a": i / 30}, {"a": ROOM}, 1.0) for i in range(30)], ["a"]) == {}
