"""The space of a search: its parameters, fixed overrides, and branches that exist only under a condition."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from async_optuna.errors import SearchError

# The points of a finite space up to this size are remembered: none is run twice, and the search ends after the last.
ENUMERABLE = 10_000

# A point as the study stores it, in the order in which it was chosen.
Point = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One searched key.

    Attributes:
        name: the key as on the command line, `+` included where it adds one.
        prefix: "++" where the key has to be forced in, else "".
        distribution: what it may be.
        texts: each choice of a categorical distribution as it is written on the command line.
    """

    name: str
    distribution: BaseDistribution
    texts: Mapping[tuple[str, Any], str] = field(default_factory=dict)
    prefix: str = ""

    def text(self, value: Any) -> str:
        return self.texts.get(_kind_and_value(value)) or _plain_text(value)

    def override(self, value: Any) -> str:
        return f"{self.prefix}{self.name}={self.text(value)}"


@dataclass(frozen=True)
class Branch:
    """Parameters and fixed overrides that belong to a trial only where every condition (key, text) holds."""

    conditions: tuple[tuple[str, str], ...]
    parameters: tuple[Parameter, ...] = ()
    fixed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Space:
    """All that distinguishes one trial from another.

    Attributes:
        parameters: searched in every trial.
        fixed: key to the override that every trial gets.
        branches: what is added under conditions; where two branches that hold name the same key, the first counts.
        current: the text of a key that the search leaves alone, None if there is no such key.
    """

    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)
    branches: tuple[Branch, ...] = ()
    current: Callable[[str], str | None] = lambda key: None

    def walk(self, choose: Callable[[Parameter], Any]) -> tuple[Point, list[str]]:
        """Let `choose` pick a value for every parameter that exists, and return the point and a trial's overrides."""
        point: Point = {}
        texts: dict[str, str] = {}
        overrides = dict(self.fixed)
        pending = list(self.branches)
        parameters: Sequence[Parameter] = self.parameters
        while True:
            for parameter in parameters:
                if parameter.name not in texts and parameter.name not in overrides:
                    value = choose(parameter)
                    point[parameter.name] = value
                    texts[parameter.name] = parameter.text(value)
                    overrides[parameter.name] = parameter.override(value)
            branch = next((branch for branch in pending if self._holds(branch, texts, overrides)), None)
            if branch is None:
                return point, list(overrides.values())
            pending.remove(branch)
            parameters = branch.parameters
            for key, override in branch.fixed.items():
                overrides.setdefault(key, override)

    def points(self) -> Iterator[Point]:
        """Every point of a finite space in order, the last parameter changing fastest."""
        beginnings: list[list[Any]] = [[]]
        while beginnings:
            beginning = beginnings.pop()
            point, next_parameter = self._begin(beginning)
            if next_parameter is None:
                yield point
            else:
                beginnings.extend([*beginning, value] for value in reversed(_values(next_parameter.distribution)))

    def _begin(self, values: list[Any]) -> tuple[Point, Parameter | None]:
        """The point that begins with these values, and the first parameter that they leave open."""
        given = iter(values)
        left_open: list[Parameter] = []

        def choose(parameter: Parameter) -> Any:
            for value in given:
                return value
            left_open.append(parameter)
            return _values(parameter.distribution)[0]

        point, _ = self.walk(choose)
        return point, left_open[0] if left_open else None

    def size(self) -> int | None:
        """The number of points, None if it is infinite or beyond counting."""
        every = [*self.parameters, *(parameter for branch in self.branches for parameter in branch.parameters)]
        if any(_is_continuous(parameter.distribution) for parameter in every):
            return None
        if not self.branches:
            count = math.prod(len(_values(parameter.distribution)) for parameter in self.parameters)
            return count if count <= ENUMERABLE else None
        count = sum(1 for _ in islice(self.points(), ENUMERABLE + 1))
        return count if count <= ENUMERABLE else None

    def description(self) -> dict[str, Any]:
        """The space as plain values, such that two of them can be compared."""
        return {
            "params": {parameter.name: distribution_to_json(parameter.distribution) for parameter in self.parameters},
            "conditional": {
                ",".join(f"{key}={text}" for key, text in branch.conditions): {
                    parameter.name: distribution_to_json(parameter.distribution) for parameter in branch.parameters
                }
                | dict(branch.fixed)
                for branch in self.branches
            },
            "fixed": dict(self.fixed),
        }

    def check(self) -> None:
        """Raise SearchError where Optuna could not hold the space in one study."""
        kinds: dict[str, tuple[Any, ...]] = {}
        known = {parameter.name for parameter in self.parameters} | set(self.fixed)
        for parameter in [*self.parameters, *(p for branch in self.branches for p in branch.parameters)]:
            distribution = parameter.distribution
            now = (type(distribution), getattr(distribution, "choices", None), getattr(distribution, "log", None))
            if kinds.setdefault(parameter.name, now) != now:
                raise SearchError(
                    f"{parameter.name} must be of the same kind in every branch (the same choices, or an interval of "
                    "the same numbers and scale); a branch may fix it to one value instead"
                )
        for branch in self.branches:
            for key in [*branch.fixed, *(parameter.name for parameter in branch.parameters)]:
                if key in known:
                    where = ",".join(f"{key}={text}" for key, text in branch.conditions)
                    raise SearchError(f"{key} is in params and in the branch {where}; it can be in one of them only")

    def _holds(self, branch: Branch, texts: Mapping[str, str], overrides: Mapping[str, str]) -> bool:
        for key, expected in branch.conditions:
            fixed = overrides.get(key) or overrides.get(key.lstrip("+"), "")
            if (texts.get(key) or fixed.partition("=")[2] or self.current(key)) != expected:
                return False
        return True


def identity(point: Point) -> tuple[Any, ...]:
    """A key that is equal for equal points, in whatever order their values were chosen; True and 1 are different."""
    return tuple((name, *_kind_and_value(point[name])) for name in sorted(point))


def in_words(distribution: BaseDistribution) -> str:
    """The distribution in Hydra's sweep syntax, where a range excludes its stop."""
    if isinstance(distribution, CategoricalDistribution):
        return f"choice({', '.join(map(_plain_text, distribution.choices))})"
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is None:
        text = f"interval({_short(low)}, {_short(high)})"
    elif step == 1 and isinstance(distribution, IntDistribution):
        text = f"int(interval({low}, {high}))"
    else:
        text = f"range({_short(low)}, {_short(high + step)}, {_short(step)})"
    return f"tag(log, {text})" if distribution.log else text


def _short(number: float) -> str:
    return f"{number:.12g}"


def _kind_and_value(value: Any) -> tuple[str, Any]:
    return type(value).__name__, value


def choice_texts(pairs: Iterable[tuple[Any, str]]) -> dict[tuple[str, Any], str]:
    """Texts of choices by value, keeping 1, 1.0 and True apart."""
    return {_kind_and_value(value): text for value, text in pairs}


def _plain_text(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_continuous(distribution: BaseDistribution) -> bool:
    return isinstance(distribution, FloatDistribution) and distribution.step is None and not distribution.single()


def _values(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    assert isinstance(distribution, FloatDistribution)
    if distribution.step is None:
        return [distribution.low]
    count = round((distribution.high - distribution.low) / distribution.step) + 1
    return [distribution.low + index * distribution.step for index in range(count)]
