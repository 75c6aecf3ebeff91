"""The space of a search: its parameters, fixed overrides, and branches that exist only under a condition."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json

from async_optuna.distributions import is_continuous, nearest_step, num_values, plain_text, short, values_of
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
        return self.texts.get(_kind_and_value(value)) or plain_text(value)

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
                    value = nearest_step(parameter.distribution, choose(parameter))
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
        return self._points_from([])

    def _points_from(self, beginning: list[Any]) -> Iterator[Point]:
        point, next_parameter = self._begin(beginning)
        if next_parameter is None:
            yield point
        else:
            for value in values_of(next_parameter.distribution):
                yield from self._points_from([*beginning, value])

    def _begin(self, values: list[Any]) -> tuple[Point, Parameter | None]:
        """The point that begins with these values, and the first parameter that they leave open."""
        given = iter(values)
        left_open: list[Parameter] = []

        def choose(parameter: Parameter) -> Any:
            for value in given:
                return value
            left_open.append(parameter)
            return next(iter(values_of(parameter.distribution)))

        point, _ = self.walk(choose)
        return point, left_open[0] if left_open else None

    def every_parameter(self) -> list[Parameter]:
        """Those of the branches included."""
        return [*self.parameters, *(parameter for branch in self.branches for parameter in branch.parameters)]

    def size(self) -> int | None:
        """The number of points, None if it is infinite, beyond counting, or if no point differs from another."""
        every = self.every_parameter()
        if not every or any(is_continuous(parameter.distribution) for parameter in every):
            return None
        if not self.branches:
            count = math.prod(num_values(parameter.distribution) for parameter in self.parameters)
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
        for parameter in self.every_parameter():
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
    """A key that is equal for equal points, in whatever order their values were chosen; True and 1 are different.

    So are two floats that differ by rounding only: 0.1 + 2 * 0.1, which is not quite 0.3, is that step of a range.
    """
    return tuple((name, *_kind_and_value(_rounded(point[name]))) for name in sorted(point))


def _rounded(value: Any) -> Any:
    return float(short(value)) if isinstance(value, float) else value


def _kind_and_value(value: Any) -> tuple[str, Any]:
    return type(value).__name__, value


def choice_texts(pairs: Iterable[tuple[Any, str]]) -> dict[tuple[str, Any], str]:
    """Texts of choices by value, keeping 1, 1.0 and True apart."""
    return {_kind_and_value(value): text for value, text in pairs}
