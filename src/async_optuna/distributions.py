"""What a parameter may be: the values of Optuna's distributions, counted, listed, and written as the user would."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


def is_continuous(distribution: BaseDistribution) -> bool:
    """Whether it holds more values than can be counted."""
    return isinstance(distribution, FloatDistribution) and distribution.step is None and not distribution.single()


def values_of(distribution: BaseDistribution) -> Sequence[Any] | Iterator[Any]:
    """All values in order, as they are asked for."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    assert isinstance(distribution, FloatDistribution)
    if distribution.step is None:
        return [distribution.low]
    return (_step(distribution, index) for index in range(num_values(distribution)))


def num_values(distribution: BaseDistribution) -> int:
    """The number of values, without a list of them, which a range of seeds would fill the memory with."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if distribution.step is None:
        return 1
    return round((distribution.high - distribution.low) / distribution.step) + 1


def _step(distribution: FloatDistribution, index: int) -> float:
    """A step of a range, counted in decimal numbers as the user wrote them: binary ones overshoot the last step."""
    return float(Decimal(str(distribution.low)) + index * Decimal(str(distribution.step)))


def nearest_step(distribution: BaseDistribution, value: Any) -> Any:
    """A value of a range of floats without the rounding errors of its steps; any other as it is."""
    if not isinstance(distribution, FloatDistribution) or distribution.step is None:
        return value
    return _step(distribution, round((value - distribution.low) / distribution.step))


def in_words(distribution: BaseDistribution) -> str:
    """The distribution in Hydra's sweep syntax, where a range excludes its stop."""
    if isinstance(distribution, CategoricalDistribution):
        return f"choice({', '.join(map(plain_text, distribution.choices))})"
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is None:
        text = f"interval({short(low)}, {short(high)})"
    elif step == 1 and isinstance(distribution, IntDistribution):
        text = f"int(interval({low}, {high}))"
    else:
        text = f"range({short(low)}, {short(high + step)}, {short(step)})"
    return f"tag(log, {text})" if distribution.log else text


def short(number: float) -> str:
    """A number without the last digits, which hold its rounding errors."""
    return f"{number:.12g}"


def plain_text(value: Any) -> str:
    """A value as Hydra reads it on the command line, as far as it needs no quotes."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
