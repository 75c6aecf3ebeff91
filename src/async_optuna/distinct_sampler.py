"""Makes Optuna's samplers repeatable for every trial, and keeps them from proposing a point that has already run."""

import copy
import random
from collections.abc import Callable
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, BruteForceSampler, GridSampler, QMCSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from async_optuna.errors import SearchError
from async_optuna.space import Parameter, Point, Space, identity
from async_optuna.unseen_points import UnseenPoints

# A sampler that has settled proposes its favourite again and again; after so many times any unseen point will do.
_ATTEMPTS = 10

# Each proposal of a sampler that learns costs time that grows with the study, and where it has settled is worth more
# than any point: after so many times an unseen point near its last proposal is looked for.
_ATTEMPTS_OF_ONE_THAT_LEARNS = 2
_BLIND = (RandomSampler, QMCSampler, BruteForceSampler, GridSampler)

Seen = Callable[[Point], bool]


class DistinctSampler(BaseSampler):
    """Ask a fresh Optuna sampler for each trial, seeded by the trial's number, until it proposes an unseen point.

    A stored seed would start the same sequence again in every process that joins or resumes a study; a seed that
    depends on the trial's number does not, and a serial search from scratch can still be repeated.

    Args:
        make: makes the sampler for a seed (None: unseeded), or None for a grid: the first unseen point in order.
        seed: of the whole search.
        space: what to choose from.
        is_seen: whether a point was run, is running or waits.
        num_choosing: how many trials before a trial choose their points at this moment, on other machines; each leaves
            the first points of a grid to those before it.
    """

    def __init__(
        self,
        make: Callable[[int | None], BaseSampler] | None,
        seed: int | None,
        space: Space,
        is_seen: Seen,
        num_choosing: Callable[[int], int] = lambda number: 0,
    ) -> None:
        self._make = make
        self._seed = seed
        self._space = space
        self._is_seen = is_seen
        self._num_choosing = num_choosing
        self._is_finite = space.size() is not None
        self._inner: BaseSampler | None = None
        self._point: Point = {}
        self._unseen = UnseenPoints(space, is_seen)
        self._error: Exception | None = None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Choose the whole point here, for Optuna checks the next call's answer against this one's distributions.

        An error is kept for sample_independent: raised here it would end `study.ask` before anybody knew the trial.
        """
        distributions: dict[str, BaseDistribution] = {}

        def remember(parameter: Parameter) -> Any:
            distributions[parameter.name] = parameter.distribution
            return self._point[parameter.name]

        self._error, self._point = None, {}
        try:
            self._start_inner(study, trial, attempt=0)
            self._point = self._propose(study, trial)
        except Exception as error:
            self._error = error
            return {}
        self._space.walk(remember)
        return distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._point

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """For what a custom search space adds."""
        if self._error is not None:
            raise self._error
        if self._inner is None:
            raise SearchError(f"the grid does not hold {param_name}; use another sampler with a custom search space")
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        # Samplers of finite spaces call study.stop() at their end, which Optuna refuses outside optimize().
        if self._make is not None and not isinstance(self._inner, GridSampler):
            try:
                (self._inner or self._make(self._seed)).after_trial(study, trial, state, values)
            except RuntimeError as error:
                if "Study.stop" not in str(error):
                    raise

    def _propose(self, study: Study, trial: FrozenTrial) -> Point:
        if self._make is None:
            before = self._num_choosing(trial.number)
            return self._unseen.in_order(before) or self._unseen.in_order() or {}
        learns = not isinstance(self._inner, _BLIND)
        for attempt in range(_ATTEMPTS_OF_ONE_THAT_LEARNS if learns and self._is_finite else _ATTEMPTS):
            if attempt:
                self._start_inner(study, trial, attempt)
            point = self._sample(study, trial)
            if not self._is_seen(point):
                return point
        if not self._is_finite:
            return point
        dice = random.Random(f"{self._seed} {trial.number}")
        return (self._unseen.near(point, dice) if learns else None) or self._unseen.any(dice) or point

    def _sample(self, study: Study, trial: FrozenTrial) -> Point:
        inner = self._inner
        assert inner is not None
        draft = copy.deepcopy(trial)
        relative_space = inner.infer_relative_search_space(study, draft)
        relative = inner.sample_relative(study, draft, relative_space)

        def choose(parameter: Parameter) -> Any:
            distribution = parameter.distribution
            if distribution.single():
                value = _only_value(distribution)
            elif parameter.name in relative and relative_space.get(parameter.name) == distribution:
                value = relative[parameter.name]
            else:
                value = inner.sample_independent(study, draft, parameter.name, distribution)
            draft.params = {**draft.params, parameter.name: value}
            draft.distributions = {**draft.distributions, parameter.name: distribution}
            return value

        return self._space.walk(choose)[0]

    def _start_inner(self, study: Study, trial: FrozenTrial, attempt: int) -> None:
        if self._make is not None:
            seed = None if self._seed is None else (self._seed + 1_000_003 * trial.number + 7919 * attempt) % 2**31
            self._inner = self._make(seed)
            self._inner.before_trial(study, trial)


def is_same(first: Point, second: Point) -> bool:
    return identity(first) == identity(second)


def _only_value(distribution: BaseDistribution) -> Any:
    choices = getattr(distribution, "choices", None)
    return choices[0] if choices else distribution.low  # type: ignore[attr-defined]
