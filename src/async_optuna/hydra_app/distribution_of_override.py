"""Turns a sweep in Hydra's syntax into one of Optuna's distributions."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, QuotedString, RangeSweep
from hydra.errors import HydraException
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from async_optuna.commands import quoted
from async_optuna.distributions import plain_text
from async_optuna.errors import SearchError
from async_optuna.hydra_app.hydra_internals import text_of_element
from async_optuna.space import ENUMERABLE, choice_texts

# Optuna keeps the numbers of a study as floats, which count exactly to here.
_EXACT = 2**53


def distribution(override: Override) -> tuple[BaseDistribution, dict[Any, str]]:
    """The distribution that a sweep override describes, and its choices' texts.

    Ranges exclude their stop, as everywhere in Hydra. The order of choices means nothing to a search.

    Raises:
        SearchError: if it is empty, or logarithmic from zero.
    """
    line = override.input_line
    sweep = override.value()
    if isinstance(sweep, IntervalSweep):
        return _interval(sweep, line), {}
    if isinstance(sweep, RangeSweep) and not sweep.shuffle:
        return _range(sweep, line)
    if isinstance(sweep, RangeSweep):  # values without an order: categories, as hydra-optuna-sweeper has it
        return _categorical(_listed(sweep, line))
    if isinstance(sweep, ChoiceSweep):
        sweep.shuffle = False  # another order would be another search
    pairs: list[tuple[Any, str]] = []
    for element in override.sweep_iterator():
        value = element.text if isinstance(element, QuotedString) else element
        is_plain = value is None or isinstance(value, str | int | float | bool)
        pairs.append((value if is_plain else text_of_element(element), _text_of_choice(value, element)))
    if not pairs:
        raise SearchError(f"{line}: there is nothing to choose from")
    unique = list({(type(value).__name__, value): (value, text) for value, text in pairs}.values())
    return CategoricalDistribution([value for value, _ in unique]), choice_texts(unique)


def value_of(text: str) -> Any:
    """What Hydra makes of a value on the command line; None for null, and for what it cannot read."""
    try:
        return OverridesParser.create().parse_overrides([f"key={text}"])[0].value()
    except HydraException:
        return None


def _text_of_choice(value: Any, element: Any) -> str:
    """A choice as Hydra reads it back: in quotes where a bare text would be read as something else, or not at all."""
    if isinstance(value, bool):
        return plain_text(value)
    text = text_of_element(element)
    is_kept = not isinstance(value, str) or value_of(text) == value
    return text if is_kept else quoted(value)


def _categorical(values: Sequence[int | float]) -> tuple[BaseDistribution, dict[Any, str]]:
    return CategoricalDistribution(values), choice_texts((value, str(value)) for value in values)


def _interval(sweep: IntervalSweep, line: str | None) -> BaseDistribution:
    low, high = sweep.start, sweep.end
    assert low is not None
    assert high is not None
    log = "log" in sweep.tags
    _check_bounds(low, high, log, line)
    if isinstance(low, int) and isinstance(high, int):
        if max(-low, high) > _EXACT:
            raise SearchError(f"{line}: integers beyond ±2**53 are exact in a choice only, Optuna keeps them as floats")
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _range(sweep: RangeSweep, line: str | None) -> tuple[BaseDistribution, dict[Any, str]]:
    first, step, count = _steps(sweep, line)
    last = first + (count - 1) * step
    low, high = min(first, last), max(first, last)
    log = "log" in sweep.tags
    if isinstance(low, int):
        _check_bounds(low, high, log, line)
        if log and abs(step) != 1:
            raise SearchError(f"{line}: a logarithmic range needs step 1, got {abs(step)}")
        if max(-low, high) > _EXACT:
            return _categorical(_listed(sweep, line))
        return IntDistribution(low, int(high), log=log, step=abs(int(step))), {}
    if log:
        raise SearchError(f"{line}: a range of floats cannot be logarithmic; use tag(log, interval(…))")
    return FloatDistribution(float(low), float(high), step=float(abs(step))), {}


def _steps(sweep: RangeSweep, line: str | None) -> tuple[Any, Any, int]:
    """The first value, the step and the number of values: integers, or decimal numbers as the user wrote them.

    They are counted, not listed: a range may hold every seed there is. The stop is excluded, and with binary floats
    0.1 + 3 * 0.1 would fall short of a stop at 0.4.
    """
    if not sweep.step:
        raise SearchError(f"{line}: the step of a range must not be 0")
    start, stop, step = sweep.start, sweep.stop, sweep.step
    if not all(isinstance(number, int) for number in (start, stop, step)):
        start, stop, step = (Decimal(str(number)) for number in (start, stop, step))  # type: ignore[assignment]
    assert start is not None
    assert stop is not None
    count = math.ceil((stop - start) / step) if isinstance(start, Decimal) else -int((start - stop) // step)
    if count < 1:
        raise SearchError(f"{line}: the range is empty (its stop is excluded)")
    return start, step, count


def _listed(sweep: RangeSweep, line: str | None) -> list[int | float]:
    first, step, count = _steps(sweep, line)
    if count > ENUMERABLE:
        raise SearchError(
            f"{line}: {count} values are too many to be listed one by one (as those of shuffle and those beyond 2**53 "
            f"are); at most {ENUMERABLE}"
        )
    values = (first + index * step for index in range(count))
    return sorted(value if isinstance(value, int) else float(value) for value in values)


def _check_bounds(low: float, high: float, log: bool, line: str | None) -> None:
    if low > high:
        raise SearchError(f"{line}: the interval is empty, {low} is larger than {high}")
    if log and low <= 0:
        raise SearchError(f"{line}: a logarithmic interval must begin above 0, got {low}")
