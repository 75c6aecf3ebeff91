"""Spaces: which points there are, in which order, and how a point is written on the command line."""

from typing import Any

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from async_optuna.errors import SearchError
from async_optuna.space import Branch, Parameter, Space, choice_texts, identity


def choice(name: str, *choices: Any) -> Parameter:
    return Parameter(name, CategoricalDistribution(choices))


def first(parameter: Parameter) -> Any:
    return parameter.distribution.choices[0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (None, "null"), (3, "3"), (1e-05, "1e-05"), (0.1, "0.1"), ("a b", "a b")]
)
def test_values_as_text(value: Any, text: str) -> None:
    assert choice("key", value).override(value) == f"key={text}"


def test_texts_of_choices_are_kept_as_given_and_equal_numbers_apart() -> None:
    texts = choice_texts([(1, "1"), (True, "true"), (1.0, "1.0"), ("[1,2]", "[1,2]"), ("a", "'a'")])
    parameter = Parameter("key", CategoricalDistribution(["a"]), texts, prefix="++")
    assert [parameter.override(value) for value in (1, True, 1.0, "[1,2]", "a")] == [
        *("++key=1", "++key=true", "++key=1.0", "++key=[1,2]", "++key='a'")
    ]


def test_the_fixed_overrides_come_first_and_win() -> None:
    space = Space((choice("a", 1, 2), choice("b", 3)), {"b": "b=9", "c": "~c"})
    assert space.walk(first) == ({"a": 1}, ["b=9", "~c", "a=1"])


BRANCHED = Space(
    (choice("model", "small", "large"), choice("lr", 0.1, 0.2)),
    branches=(
        Branch((("model", "large"),), (choice("units", 64, 128),), {"norm": "norm=true"}),
        Branch((("units", "128"), ("lr", "0.2")), (choice("dropout", 0.5, 0.6, 0.7),)),
    ),
)


def test_branches_exist_where_their_conditions_hold() -> None:
    wanted = {"model": "large", "lr": 0.2, "units": 128, "dropout": 0.6}
    assert BRANCHED.walk(lambda parameter: wanted[parameter.name]) == (
        wanted,
        ["model=large", "lr=0.2", "norm=true", "units=128", "dropout=0.6"],
    )
    assert BRANCHED.walk(first) == ({"model": "small", "lr": 0.1}, ["model=small", "lr=0.1"])


def test_every_point_of_a_branched_space_in_order() -> None:
    points = [tuple(point.values()) for point in BRANCHED.points()]
    assert points == [
        ("small", 0.1),
        ("small", 0.2),
        ("large", 0.1, 64),
        ("large", 0.1, 128),
        ("large", 0.2, 64),
        *[("large", 0.2, 128, dropout) for dropout in (0.5, 0.6, 0.7)],
    ]
    assert BRANCHED.size() == len(points)


def test_the_first_of_two_branches_that_name_a_key_counts() -> None:
    space = Space(
        (choice("a", 1), choice("b", 1)),
        branches=(Branch((("a", "1"),), fixed={"c": "c=first"}), Branch((("b", "1"),), (choice("c", "second"),))),
    )
    assert space.walk(first) == ({"a": 1, "b": 1}, ["a=1", "b=1", "c=first"])


@pytest.mark.parametrize(
    ("fixed", "current", "holds"),
    [
        ({}, None, False),
        ({}, "large", True),
        ({"model": "model=large"}, "small", True),
        ({"model": "++model=large"}, "small", True),
        ({"model": "model=small"}, "large", False),
    ],
)
def test_conditions_on_keys_that_are_not_searched(fixed: dict[str, str], current: str | None, holds: bool) -> None:
    branch = Branch((("model", "large"),), (choice("units", 64),))
    space = Space((), fixed, (branch,), current=lambda key: current if key == "model" else None)
    assert ("units" in space.walk(first)[0]) is holds


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (IntDistribution(1, 3), [1, 2, 3]),
        (IntDistribution(2, 8, step=3), [2, 5, 8]),
        (IntDistribution(1, 4, log=True), [1, 2, 3, 4]),
        (FloatDistribution(0, 0.3, step=0.1), [0, 0.1, 0.2, 0.3]),
        (FloatDistribution(2.0, 2.0), [2.0]),
        (FloatDistribution(0.0, 1.0), None),
        (IntDistribution(1, 10_001), None),
    ],
)
def test_points_of_one_parameter(distribution: BaseDistribution, values: list[float] | None) -> None:
    space = Space((Parameter("x", distribution),))
    assert space.size() == (None if values is None else len(values))
    if values is not None:
        assert [point["x"] for point in space.points()] == pytest.approx(values)


def test_a_space_with_one_interval_in_a_branch_is_infinite() -> None:
    inside = Branch((("model", "large"),), (Parameter("x", FloatDistribution(0, 1)),))
    assert Space((choice("model", "small", "large"),), branches=(inside,)).size() is None


def test_products_beyond_counting_have_no_size() -> None:
    assert Space(tuple(choice(name, *range(10)) for name in "abcd")).size() == 10_000
    assert Space(tuple(choice(name, *range(10)) for name in "abcde")).size() is None


def test_points_are_the_same_whatever_their_order_but_true_is_not_one() -> None:
    assert identity({"a": 1, "b": 2}) == identity({"b": 2, "a": 1})
    assert len({identity({"a": value}) for value in (1, 1.0, True, "1")}) == 4
    assert identity({"a": 0.1 + 2 * 0.1}) == identity({"a": 0.3})


def test_a_step_is_written_without_its_rounding_errors() -> None:
    space = Space((Parameter("x", FloatDistribution(0.1, 1.0, step=0.1)),))
    assert space.walk(lambda parameter: 0.1 + 2 * 0.1) == ({"x": 0.3}, ["x=0.3"])


def test_all_seeds_are_counted_without_a_list_of_them() -> None:
    seeds, other = Parameter("seed", IntDistribution(0, 2**31)), choice("z", "a", "b")
    assert Space((seeds, other)).size() is None
    assert Space((other,), branches=(Branch((("z", "a"),), (seeds,)),)).size() is None
    assert next(Space((seeds,)).points()) == {"seed": 0}


def test_without_a_parameter_no_number_of_points_is_all() -> None:
    assert Space((), {"x": "x=1"}).size() is None


@pytest.mark.parametrize(
    "other",
    [
        CategoricalDistribution([1, 2, 3]),
        IntDistribution(1, 2),
        FloatDistribution(1, 2),
    ],
)
def test_one_key_must_be_of_one_kind_in_all_branches(other: BaseDistribution) -> None:
    one = Branch((("a", "1"),), (choice("k", 1, 2),))
    two = Branch((("a", "2"),), (Parameter("k", other),))
    with pytest.raises(SearchError, match="k must be of the same kind in every branch"):
        Space((choice("a", 1, 2),), branches=(one, two)).check()


def test_numbers_may_have_other_bounds_in_another_branch_but_not_another_scale() -> None:
    def space(second: FloatDistribution) -> Space:
        one = Branch((("a", "1"),), (Parameter("k", FloatDistribution(1, 2)),))
        return Space((choice("a", 1, 2),), branches=(one, Branch((("a", "2"),), (Parameter("k", second),))))

    space(FloatDistribution(5, 9)).check()
    with pytest.raises(SearchError, match="scale"):
        space(FloatDistribution(1, 2, log=True)).check()


def test_a_key_is_either_in_params_or_in_branches() -> None:
    branch = Branch((("a", "1"),), (choice("b", 1),))
    with pytest.raises(SearchError, match="b is in params and in the branch a=1"):
        Space((choice("a", 1), choice("b", 1)), branches=(branch,)).check()


def test_descriptions_are_equal_for_equal_spaces_only() -> None:
    def description(high: float, text: str) -> dict[str, Any]:
        branch = Branch((("x", "1"),), (choice("b", 1),), {"c": "c=1"})
        return Space((Parameter("x", FloatDistribution(0, high)),), {"y": text}, (branch,)).description()

    assert description(1, "y=1") == description(1, "y=1")
    assert description(1, "y=1") != description(2, "y=1")
    assert description(1, "y=1") != description(1, "y=2")
