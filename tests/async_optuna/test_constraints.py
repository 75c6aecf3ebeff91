"""Limits to metrics: how they are written, and what breaks them."""

from typing import Any

import pytest

from async_optuna.constraints import Constraints
from async_optuna.errors import SearchError

BOTH = Constraints.of({"size": 200, "recall": ">=0.5"})


@pytest.mark.parametrize(
    ("limit", "value", "excess"),
    [(200, 300, 0.5), ("200", 200, 0.0), ("<= 2e2", 100, -0.5), (">=0.5", 0.25, 0.5), (">= -2", 0, -1.0), (0, 3, 3.0)],
)
def test_an_excess_is_a_share_of_the_limit(limit: Any, value: float, excess: float) -> None:
    assert Constraints.of({"size": limit}).excesses({"size": value, "other": 1.0}) == {"size": excess}


@pytest.mark.parametrize("limit", ["", "abc", "<200", "=200", None, True, float("nan"), "1 2", [200]])
def test_anything_but_a_limit_is_refused(limit: Any) -> None:
    with pytest.raises(SearchError, match=r"expected a largest value for size such as 20000, or .*, got"):
        Constraints.of({"size": limit})


def test_what_is_broken_is_told_in_words() -> None:
    assert BOTH.broken({"size": 200, "recall": 0.5}) == ""
    assert BOTH.broken({"size": 1200}) == "size is 1,200, at most 200 is allowed"
    assert BOTH.broken({"size": 1, "recall": 0.25}) == "recall is 0.25, at least 0.5 is allowed"


def test_a_metric_that_is_not_there_is_named_with_the_nearest() -> None:
    assert BOTH.missing({"size": 1, "recall": 1}) == ""
    assert BOTH.missing({"size": 1, "recal": 1}).endswith("set no such metric; did you mean recal?")
    assert BOTH.missing({"size": float("nan"), "recall": 1}).endswith("the task set it to NaN")


@pytest.mark.parametrize(
    ("sampler", "may_give_up"), [("optuna.samplers.TPESampler", True), ("optuna.samplers.GPSampler", False)]
)
def test_a_trial_may_give_up_where_the_sampler_learns_of_that(sampler: str, may_give_up: bool) -> None:
    assert Constraints.of({"size": 1}, sampler).may_give_up is may_give_up


def test_the_limits_of_two_calls_can_be_compared() -> None:
    prefix = "hydra.sweeper.constraints"
    assert BOTH.description() == {
        f"{prefix}.size": f"{prefix}.size=<=200",
        f"{prefix}.recall": f"{prefix}.recall=>=0.5",
    }
