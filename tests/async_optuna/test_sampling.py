"""Proposals: repeatable trial by trial, and none twice while there is another."""

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler

from async_optuna.distinct_sampler import DistinctSampler
from async_optuna.errors import SearchError
from async_optuna.space import Branch, Parameter, Point, Space, identity

CONTINUOUS = Space((Parameter("x", FloatDistribution(-5, 5)), Parameter("lr", FloatDistribution(1e-4, 1, log=True))))
FINITE = Space((Parameter("x", IntDistribution(1, 4)), Parameter("z", CategoricalDistribution(["a", "b", "c"]))))
BRANCHED = Space(
    (Parameter("z", CategoricalDistribution(["a", "b"])),),
    branches=(Branch((("z", "b"),), (Parameter("x", IntDistribution(1, 5)),)),),
)

Make = Callable[[int | None], BaseSampler] | None


def search(
    space: Space, make: Make, seed: int | None, count: int, study: optuna.Study | None = None, before: Any = ()
) -> list[Point]:
    """Run so many trials one after the other, in a new study if none is given; return their points."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = study or optuna.create_study()
    seen = {identity(point) for point in before}
    study.sampler = DistinctSampler(make, seed, space, lambda point: identity(point) in seen)
    points = []
    for _ in range(count):
        trial = study.ask()

        def suggest(parameter: Parameter, trial: optuna.Trial = trial) -> Any:
            return trial._suggest(parameter.name, parameter.distribution)

        point, _ = space.walk(suggest)
        seen.add(identity(point))
        points.append(point)
        study.tell(trial, sum(float(value) for value in point.values() if not isinstance(value, str)))
    return points


SAMPLERS: dict[str, Callable[[int | None], BaseSampler]] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed, n_startup_trials=3),
    "nsgaii": lambda seed: NSGAIISampler(seed=seed, population_size=4),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_seed_repeats_a_search(name: str) -> None:
    assert search(CONTINUOUS, SAMPLERS[name], 3, 8) == search(CONTINUOUS, SAMPLERS[name], 3, 8)
    assert search(CONTINUOUS, SAMPLERS[name], 3, 2) != search(CONTINUOUS, SAMPLERS[name], 4, 2)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_search_that_is_taken_up_goes_on_as_if_it_had_not_stopped(name: str) -> None:
    study = optuna.create_study()
    first = search(CONTINUOUS, SAMPLERS[name], 3, 4, study)
    second = search(CONTINUOUS, SAMPLERS[name], 3, 4, study, before=first)
    assert first + second == search(CONTINUOUS, SAMPLERS[name], 3, 8)
    assert len({identity(point) for point in first + second}) == 8


def test_a_seed_is_not_the_same_sequence_again_for_every_trial() -> None:
    points = search(CONTINUOUS, SAMPLERS["random"], 3, 20)
    assert len({identity(point) for point in points}) == 20


def test_without_a_seed_no_two_searches_are_the_same() -> None:
    assert search(CONTINUOUS, SAMPLERS["random"], None, 2) != search(CONTINUOUS, SAMPLERS["random"], None, 2)


@pytest.mark.parametrize("space", [FINITE, BRANCHED])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_finite_space_is_run_through_without_repeating(name: str, space: Space) -> None:
    size = space.size()
    assert size is not None
    points = search(space, SAMPLERS[name], 0, size)
    assert {identity(point) for point in points} == {identity(point) for point in space.points()}


def test_a_sampler_that_has_settled_is_made_to_look_elsewhere() -> None:
    """Left alone TPE proposes the best point again and again: with 12 points it repeats some in the first eight."""
    study = optuna.create_study(sampler=TPESampler(seed=0, n_startup_trials=2))
    for _ in range(8):
        trial = study.ask()
        values = [trial._suggest(parameter.name, parameter.distribution) for parameter in FINITE.parameters]
        study.tell(trial, values[0])
    assert len({identity(trial.params) for trial in study.trials}) < 8
    points = search(FINITE, lambda seed: TPESampler(seed=seed, n_startup_trials=2), 0, 8)
    assert len({identity(point) for point in points}) == 8


def test_a_grid_goes_in_order() -> None:
    assert search(BRANCHED, None, None, 6) == list(BRANCHED.points())


def test_a_grid_goes_on_where_others_stopped() -> None:
    points = list(FINITE.points())
    assert search(FINITE, None, None, 2, before=points[1:5]) == [points[0], points[5]]


def test_a_sampler_learns_from_earlier_trials() -> None:
    """Half of what TPE tries after its start lies in the best quarter; a random sampler would put a quarter there."""
    space = Space((Parameter("x", FloatDistribution(0, 1)),))
    points = search(space, lambda seed: TPESampler(seed=seed, n_startup_trials=5), 0, 25)
    assert sum(point["x"] < 0.25 for point in points[5:]) >= 10


def test_a_quasi_random_sequence_is_one_sequence() -> None:
    """Each trial takes the next point, whichever process asks: eight points of Sobol fall into all eight octants."""

    def make(seed: int | None) -> BaseSampler:
        with pytest.warns(optuna.exceptions.ExperimentalWarning):
            return QMCSampler(seed=3)

    space = Space(tuple(Parameter(name, FloatDistribution(0, 1)) for name in "xyz"))
    points = search(space, make, 3, 9)[1:]  # the first trial has no space to go by
    assert len({tuple(value < 0.5 for value in point.values()) for point in points}) == 8


def test_what_a_custom_space_adds_is_sampled_too() -> None:
    study = optuna.create_study()
    study.sampler = DistinctSampler(SAMPLERS["random"], 1, FINITE, lambda point: False)
    trial = study.ask()
    FINITE.walk(lambda parameter: trial._suggest(parameter.name, parameter.distribution))
    assert 7 <= trial.suggest_float("added", 7, 8) <= 8


def test_a_grid_has_nothing_to_say_of_what_a_custom_space_adds() -> None:
    study = optuna.create_study()
    study.sampler = DistinctSampler(None, None, FINITE, lambda point: False)
    with pytest.raises(SearchError, match="the grid does not hold added; use another sampler with a custom search"):
        study.ask().suggest_float("added", 7, 8)


def test_what_has_not_run_is_found_without_asking_again_and_again() -> None:
    """A sampler that learns costs more with every trial; one that has settled proposes the same point for ever."""
    asked = 0

    class Stubborn(BaseSampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            nonlocal asked
            asked += 1
            return {}

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            return {}

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return 5

    space = Space((Parameter("a", IntDistribution(0, 9)), Parameter("b", IntDistribution(0, 9))))
    seen: set[Any] = set()
    study = optuna.create_study()
    study.sampler = DistinctSampler(lambda seed: Stubborn(), 0, space, lambda point: identity(point) in seen)
    points = []
    for _ in range(100):
        trial = study.ask()
        points.append(space.walk(lambda parameter: trial._suggest(parameter.name, parameter.distribution))[0])  # noqa: B023
        seen.add(identity(points[-1]))
    assert len(seen) == 100
    assert asked < 200
    assert points[0] == {"a": 5, "b": 5}
    assert all(5 in point.values() for point in points[:15])  # near the favourite first
