"""Variants take turns over the same steps, so many that a clock can tell them apart."""

from collections.abc import Callable

import pytest

from cnnlab.workbench.benchmark import measuring
from cnnlab.workbench.benchmark.measuring import Cell, Settings, choose_repeats, choose_steps, take_turns


@pytest.mark.parametrize(
    ("per_step", "max_steps", "steps"),
    [
        ([0.02, 0.01], 1000, 50),  # the slowest for a second
        ([0.02, 0.0005], 1000, 500),  # the fastest for a quarter of one
        ([0.02, 0.0005], 107, 107),  # but no more than an epoch
        ([7.0, 3.0], 1000, 1),  # and at least one
    ],
)
def test_steps_fit_the_slowest_and_the_fastest(per_step: list[float], max_steps: int, steps: int) -> None:
    assert choose_steps(per_step, max_steps) == steps


def test_only_what_would_take_too_long_is_repeated_less_often() -> None:
    assert choose_repeats(5, 1.0) == 5
    assert choose_repeats(5, 30.0) == 3
    assert choose_repeats(5, 1000.0) == 1


def loops(calls: list[tuple[str, int]]) -> dict[str, Callable[[int], float]]:
    def loop(name: str, per_step: float) -> Callable[[int], float]:
        def run(steps: int) -> float:
            calls.append((name, steps))
            return steps * per_step

        return run

    return {"slow": loop("slow", 0.01), "quick": loop("quick", 0.004)}


def test_all_are_warmed_up_and_then_take_turns() -> None:
    calls: list[tuple[str, int]] = []
    rows = take_turns(loops(calls), Settings(repeats=3), max_steps=1000)
    timed = [(name, 100) for _ in range(3) for name in ("slow", "quick")]
    assert calls[-6:] == timed
    assert {name for name, _ in calls[:-6]} == {"slow", "quick"}
    assert [(row["variant"], row["steps"]) for row in rows] == timed
    assert [row["repeat"] for row in rows] == [0, 0, 1, 1, 2, 2]
    assert [row["seconds"] for row in rows[:2]] == [1.0, 0.4]


def test_a_loop_with_its_own_steps_does_not_choose_those_of_the_others() -> None:
    rows = take_turns(loops([]), Settings(repeats=1), max_steps=1000, own_steps={"slow": 7})
    assert [(row["variant"], row["steps"]) for row in rows] == [("slow", 7), ("quick", 250)]


def test_a_smoke_run_times_each_once_over_hardly_any_steps() -> None:
    calls: list[tuple[str, int]] = []
    take_turns(loops(calls), Settings(smoke=True, repeats=5), max_steps=1000)
    assert calls == [("slow", 1), ("quick", 1), ("slow", 2), ("quick", 2)]
    assert measuring.SECONDS > 0


def test_settings_choose_less_for_a_smoke_run_and_what_was_asked_for_in_any() -> None:
    assert Settings().batch_sizes_or(32, 64) == (32, 64)
    assert Settings(smoke=True).batch_sizes_or(32, 64) == (32,)
    assert Settings(smoke=True, batch_sizes=(8, 9)).batch_sizes_or(32) == (8, 9)
    assert Settings(smoke=True).models_or("tinyvgg", "vgg") == ("linear",)
    assert Settings(models=("mlp",)).models_or("tinyvgg") == ("mlp",)


def test_a_cell_is_named_after_its_keys() -> None:
    assert Cell({"model": "tinyvgg", "batch_size": 32}, list).name == "model=tinyvgg batch_size=32"
