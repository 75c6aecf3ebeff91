"""Runs a point several times, each with a seed of its own, as one trial whose value is the mean."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from optuna.pruners import BasePruner, WilcoxonPruner

from async_optuna.constraints import Constraints
from async_optuna.errors import SearchError
from async_optuna.optuna_internals import p_threshold_of
from async_optuna.outcome import Outcome
from async_optuna.overrides import without

SEEDS, VALUES, SPREAD = "repeat_seeds", "repeat_values", "repeat_sd"


@dataclass(frozen=True)
class Repeats:
    """How often a point is run, and with which seeds.

    Attributes:
        key: through which a run is given its seed.
        seeds: of the runs; none means that a trial is a single run, whose seed the search does not know.
    """

    key: str = ""
    seeds: tuple[int, ...] = ()

    @classmethod
    def of(cls, number: int, key: str | None, first_seed: str | None, searched: Sequence[str]) -> "Repeats":
        """Check the settings `repeats` and `seed_key`.

        Args:
            first_seed: that of the app's config; the other seeds follow it.
            searched: the keys that vary.

        Raises:
            SearchError: if that cannot be.
        """
        if number < 1:
            raise SearchError(f"hydra.sweeper.repeats must be at least 1, got {number}")
        if number == 1:
            return cls()
        if not key:
            raise SearchError(
                f"hydra.sweeper.repeats={number} needs hydra.sweeper.seed_key, the key that holds a run's seed"
            )
        if key in searched:
            raise SearchError(
                f"hydra.sweeper.repeats={number} runs each point with several seeds: give {key} one value"
            )
        if first_seed is None or not first_seed.lstrip("-").isdigit():
            raise SearchError(f"hydra.sweeper.seed_key={key}: expected a key with a whole number, got {first_seed}")
        return cls(key, tuple(range(int(first_seed), int(first_seed) + number)))

    def description(self) -> dict[str, str]:
        """As overrides by key, such that those of two calls can be compared."""
        name = "hydra.sweeper.repeats"
        return {name: f"{name}={len(self.seeds)}"} if self.seeds else {}

    def check_pruner(self, pruner: BasePruner | None) -> str:
        """What to tell the user of a pruner that compares repeats, "" for nothing.

        Raises:
            SearchError: if there are no repeats for it.
        """
        if not isinstance(pruner, WilcoxonPruner):
            return ""
        if not self.seeds:
            raise SearchError("hydra/sweeper/pruner=wilcoxon compares repeats of a point: give hydra.sweeper.repeats")
        needed = (
            math.floor(-math.log2(max(p_threshold_of(pruner), 1e-9))) + 1
        )  # half of all signs, and half again with each repeat
        if len(self.seeds) > needed:
            return ""
        return (
            f"note: the Wilcoxon test stops no trial before its run {needed}: "
            f"give more than hydra.sweeper.repeats={len(self.seeds)} or a larger hydra.sweeper.pruner.p_threshold"
        )

    def begin(self, folder: Path, restart_from: Path | None) -> "RunsOfATrial":
        """The runs of a trial, with those that a lost trial of the same point had finished, and their folders."""
        runs = RunsOfATrial(self, folder, restart_from)
        while runs.is_open and restart_from is not None:
            earlier = restart_from / runs.name
            outcome = Outcome.read(earlier)
            if outcome is None or outcome.state != "COMPLETE":
                break
            os.replace(earlier, runs.folder)
            runs.outcomes.append(outcome)
        return runs


class RunsOfATrial:
    """The runs that a trial has had, and the next one.

    Attributes:
        outcomes: of those that are complete, in the order of their seeds.
    """

    def __init__(self, repeats: Repeats, folder: Path, restart_from: Path | None) -> None:
        self.outcomes: list[Outcome] = []
        self._repeats = repeats
        self._folder = folder
        self._restart_from = restart_from

    @property
    def is_open(self) -> bool:
        return len(self.outcomes) < len(self._repeats.seeds)

    @property
    def name(self) -> str:
        """Of the next run, and of its folder."""
        return f"{self._repeats.key.rpartition('.')[2]}_{self._repeats.seeds[len(self.outcomes)]}"

    @property
    def folder(self) -> Path:
        return self._folder / self.name

    @property
    def restart_from(self) -> Path | None:
        return self._restart_from / self.name if self._restart_from is not None else None

    def overrides(self, given: Sequence[str]) -> list[str]:
        """Those of the next run."""
        seed = self._repeats.seeds[len(self.outcomes)]
        return [*without(given, self._repeats.key), f"{self._repeats.key}={seed}"]

    def failed(self, outcome: Outcome) -> Outcome:
        """The outcome of a trial one of whose runs was not complete."""
        outcome.reason = f"{self.name}: {outcome.reason}"
        outcome.seconds += sum(one.seconds for one in self.outcomes)
        outcome.user_attrs = {**outcome.user_attrs, **self._attributes(), "folder": self._place(len(self.outcomes))}
        return outcome

    def combined(self, limits: Constraints, pruned: str = "") -> Outcome:
        """The outcome of a trial with the means of its runs.

        Args:
            pruned: why it is to have no further runs.
        """
        outcomes = self.outcomes
        values = [fmean(column) for column in zip(*(outcome.values or [] for outcome in outcomes), strict=True)]
        metrics = _means([outcome.metrics for outcome in outcomes])
        own = [{k: v for k, v in outcome.constraints.items() if k not in limits.names} for outcome in outcomes]
        constraints, infeasible = limits.judge(metrics, _means(own))
        return Outcome(
            "PRUNED" if pruned else "COMPLETE",
            None if pruned else values,
            reason=pruned,
            seconds=sum(outcome.seconds for outcome in outcomes),
            user_attrs={**outcomes[-1].user_attrs, **self._attributes(), "folder": self._place(0)},
            metrics=metrics,
            constraints=constraints,
            infeasible=infeasible,
        )

    def _attributes(self) -> dict[str, Any]:
        columns = [list(column) for column in zip(*(one.values or [] for one in self.outcomes), strict=True)]
        spreads = [stdev(column) if len(column) > 1 else None for column in columns]
        is_one = len(columns) == 1
        return {
            SEEDS: list(self._repeats.seeds[: len(self.outcomes)]),
            VALUES: columns[0] if is_one else columns,
            SPREAD: spreads[0] if is_one else spreads,
        }

    def _place(self, index: int) -> str:
        seed = self._repeats.seeds[index]
        return f"{self._folder.name}/{self._repeats.key.rpartition('.')[2]}_{seed}"


def _means(several: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each number that all of them have."""
    names = [name for name in several[0] if all(name in one for one in several)]
    return {name: fmean(one[name] for one in several) for name in names}
