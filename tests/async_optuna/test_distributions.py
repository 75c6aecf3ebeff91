"""Distributions: their values, and the words for them."""

from typing import Any

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from async_optuna.distributions import in_words, is_continuous, nearest_step, num_values, values_of


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (FloatDistribution(0.1, 0.3, step=0.1), [0.1, 0.2, 0.3]),
        (FloatDistribution(0.1, 1.0, step=0.3), [0.1, 0.4, 0.7, 1.0]),
        (FloatDistribution(2.0, 2.0), [2.0]),
        (IntDistribution(2, 8, step=3), [2, 5, 8]),
        (CategoricalDistribution(["a", None]), ["a", None]),
    ],
)
def test_every_value_exactly_and_one_that_optuna_holds(distribution: BaseDistribution, values: list[Any]) -> None:
    assert list(values_of(distribution)) == values
    assert num_values(distribution) == len(values)
    assert all(distribution._contains(distribution.to_internal_repr(value)) for value in values)
    assert not is_continuous(distribution)


def test_the_nearest_step() -> None:
    assert nearest_step(FloatDistribution(0.1, 1.0, step=0.1), 0.30000000000000004) == 0.3
    assert nearest_step(FloatDistribution(0.1, 1.0), 0.30000000000000004) == 0.30000000000000004
    assert is_continuous(FloatDistribution(0.1, 1.0))


@pytest.mark.parametrize(
    ("distribution", "words"),
    [
        (FloatDistribution(-5, 5), "interval(-5, 5)"),
        (FloatDistribution(1e-5, 0.1, log=True), "tag(log, interval(1e-05, 0.1))"),
        (FloatDistribution(0, 0.4, step=0.1), "range(0, 0.5, 0.1)"),
        (IntDistribution(2, 8, step=3), "range(2, 11, 3)"),
        (IntDistribution(1, 16, log=True), "tag(log, int(interval(1, 16)))"),
        (CategoricalDistribution([32, "a", True, None]), "choice(32, a, true, null)"),
    ],
)
def test_distributions_in_words(distribution: BaseDistribution, words: str) -> None:
    assert in_words(distribution) == words
