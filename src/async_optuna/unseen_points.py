"""Finds points of a finite space that have not run yet, at a cost that does not grow with the number that have."""

import random
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from optuna.distributions import BaseDistribution

from async_optuna.distributions import values_of
from async_optuna.space import Parameter, Point, Space

# So many neighbours of a point are looked at, farther and farther away.
_NEIGHBOURS = 100


class UnseenPoints:
    """The points of a finite space that were never seen; what was seen once stays seen.

    Args:
        is_seen: whether a point was run, is running or waits.
    """

    def __init__(self, space: Space, is_seen: Callable[[Point], bool]) -> None:
        self._space = space
        self._is_seen = is_seen
        self._in_order: Iterator[Point] | None = None
        self._ahead: deque[Point] = deque()
        self._rest: list[Point] | None = None

    def in_order(self, index: int = 0) -> Point | None:
        """The unseen point with this index in the order of the space, None if there are not so many."""
        if self._in_order is None:
            self._in_order = self._space.points()
        while self._ahead and self._is_seen(self._ahead[0]):
            self._ahead.popleft()
        for point in chain(tuple(self._ahead), self._further()):
            if not self._is_seen(point):
                if index == 0:
                    return point
                index -= 1
        return None

    def any(self, dice: random.Random) -> Point | None:
        """An unseen point by chance, None if there is none."""
        if self._rest is None:
            self._rest = [point for point in self._space.points() if not self._is_seen(point)]
        while self._rest:
            index = dice.randrange(len(self._rest))
            self._rest[index], self._rest[-1] = self._rest[-1], self._rest[index]
            if not self._is_seen(self._rest[-1]):
                return self._rest[-1]
            self._rest.pop()
        return None

    def near(self, point: Point, dice: random.Random) -> Point | None:
        """An unseen point that differs from this one in few parameters, None if none is found soon."""
        distributions: dict[str, BaseDistribution] = {}

        def keep(parameter: Parameter) -> Any:
            distributions[parameter.name] = parameter.distribution
            return point[parameter.name]

        self._space.walk(keep)
        for attempt in range(_NEIGHBOURS):
            num_changed = 1 + attempt * len(point) // _NEIGHBOURS
            changed = set(dice.sample(list(point), min(num_changed, len(point))))

            def choose(parameter: Parameter, changed: set[str] = changed) -> Any:
                name, distribution = parameter.name, parameter.distribution
                if name not in changed and distributions.get(name) == distribution:
                    return point[name]
                values = values_of(distribution)
                return dice.choice(list(values) if isinstance(values, Iterator) else values)

            neighbour, _ = self._space.walk(choose)
            if not self._is_seen(neighbour):
                return neighbour
        return None

    def _further(self) -> Iterator[Point]:
        assert self._in_order is not None
        for point in self._in_order:
            self._ahead.append(point)
            yield point
