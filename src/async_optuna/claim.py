"""A trial that a controller has taken, and how its point is asked of Optuna."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from async_optuna.space import Parameter, Point


@dataclass
class Claim:
    """A trial that this process is to run.

    Attributes:
        restart_from: the folder of an earlier trial of the same point that was lost.
        earlier_reports: what that one had reported, to be written down once this one has come as far.
        reports: what this one has reported and is not yet in the study.
        retries: how many processes of this point have died.
    """

    trial: Trial
    point: Point
    overrides: list[str]
    folder: Path
    restart_from: Path | None = None
    earlier_reports: Mapping[int, float] = field(default_factory=dict)
    reports: dict[int, float] = field(default_factory=dict)
    reported: set[int] = field(default_factory=set)
    retries: int = 0

    @property
    def number(self) -> int:
        return self.trial.number


def suggest(trial: Trial, parameter: Parameter) -> Any:
    """Return the value that the trial's sampler chooses for a parameter."""
    name, distribution = parameter.name, parameter.distribution
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
