"""The limits that a search sets to the metrics of its trials: only a trial within all of them can be the best."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from async_optuna.errors import SearchError, did_you_mean

Metrics = Mapping[str, float]

# These learn from trials that have a value, and would propose what breaks a limit for ever if such trials had none.
_LEARN_FROM_VALUES = ("GPSampler", "NSGAIISampler", "NSGAIIISampler")
_LIMIT = re.compile(r"\s*(<=|>=|)\s*(\S+)\s*")


@dataclass(frozen=True)
class Limit:
    """What one metric must not pass.

    Attributes:
        is_least: whether the metric must be at least `bound` rather than at most.
    """

    name: str
    bound: float
    is_least: bool = False

    def excess(self, value: float) -> float:
        """By how much the value is past the limit, as a share of the limit; at most 0 where it is within.

        Samplers add up such numbers of several metrics, which have units of their own.
        """
        beyond = self.bound - value if self.is_least else value - self.bound
        return beyond / (abs(self.bound) or 1.0)

    def explain(self, value: float) -> str:
        return f"{self.name} is {value:,.6g}, at {'least' if self.is_least else 'most'} {self.bound:,.6g} is allowed"

    def __str__(self) -> str:
        return f"{'>=' if self.is_least else '<='}{self.bound:.12g}"


@dataclass(frozen=True)
class Constraints:
    """All limits of a search.

    Attributes:
        may_give_up: whether a trial that breaks one may end before it has a value.
    """

    limits: tuple[Limit, ...] = ()
    may_give_up: bool = True

    @classmethod
    def of(cls, config: Mapping[str, Any] | None, sampler: str = "") -> "Constraints":
        """Read `{name: 20000}`, the largest value allowed, or `{name: ">=0.9"}`.

        Args:
            sampler: the class that proposes the points.

        Raises:
            SearchError: for anything else.
        """
        if not isinstance(config or {}, Mapping):
            raise SearchError(f"hydra.sweeper.constraints: expected {{metric: limit}}, got {config!r}")
        limits = tuple(_limit(str(name), value) for name, value in (config or {}).items())
        return cls(limits, may_give_up=sampler.rpartition(".")[2] not in _LEARN_FROM_VALUES)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(limit.name for limit in self.limits)

    def description(self) -> dict[str, str]:
        """As overrides by key, such that those of two calls can be compared."""
        keys = {f"hydra.sweeper.constraints.{limit.name}": str(limit) for limit in self.limits}
        return {key: f"{key}={limit}" for key, limit in keys.items()}

    def excesses(self, metrics: Metrics) -> dict[str, float]:
        """By how much each known metric is past its limit."""
        return {limit.name: limit.excess(metrics[limit.name]) for limit in self.limits if limit.name in metrics}

    def broken(self, metrics: Metrics) -> str:
        """Which limits the known metrics break, in words; "" if none."""
        known = [limit for limit in self.limits if limit.name in metrics]
        return "; ".join(limit.explain(metrics[limit.name]) for limit in known if limit.excess(metrics[limit.name]) > 0)

    def judge(self, metrics: Metrics, own: Metrics) -> tuple[dict[str, float], str]:
        """By how much each constraint is missed, and which are, in words.

        Args:
            own: the constraints that the task itself has set.
        """
        missed = [f"{name} is missed by {value:.6g}" for name, value in own.items() if value > 0]
        return {**own, **self.excesses(metrics)}, "; ".join([*missed, *filter(None, [self.broken(metrics)])])

    def missing(self, metrics: Metrics) -> str:
        """Why a trial with these metrics cannot be judged, in words; "" if it can."""
        for limit in self.limits:
            if limit.name not in metrics:
                nearest = did_you_mean(limit.name, metrics)
                return f"hydra.sweeper.constraints limits {limit.name}, but the task set no such metric{nearest}"
            if math.isnan(metrics[limit.name]):
                return f"hydra.sweeper.constraints limits {limit.name}, but the task set it to NaN"
        return ""


def _limit(name: str, value: Any) -> Limit:
    match = _LIMIT.fullmatch(str(value))
    try:
        if match is None or isinstance(value, bool) or not math.isfinite(float(match[2])):
            raise ValueError
        return Limit(name, float(match[2]), is_least=match[1] == ">=")
    except ValueError:
        raise SearchError(
            f"hydra.sweeper.constraints: expected a largest value for {name} such as 20000, "
            f'or a smallest one such as ">=0.9", got {value!r}'
        ) from None
