"""From Hydra's override syntax to a space: every form, who wins, and what cannot be searched."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from async_optuna.errors import SearchError
from async_optuna.hydra_app.space_of_overrides import build_space, fixed_overrides
from async_optuna.space import Parameter, Space

PARSER = OverridesParser.create()


def build(
    arguments: list[str],
    params: Mapping[str, Any] | None = None,
    conditional: Mapping[str, Any] | None = None,
    current: Callable[[str], str | None] = lambda key: None,
) -> Space:
    return build_space(
        OmegaConf.create(dict(params or {})), OmegaConf.create(dict(conditional or {})), arguments, PARSER, current
    )


def only(space: Space) -> Parameter:
    (parameter,) = space.parameters
    return parameter


def choose(*wanted: Any) -> Callable[[Parameter], Any]:
    """Give each parameter the first of the wanted values that it offers."""

    def choice(parameter: Parameter) -> Any:
        return next(value for value in wanted if value in parameter.distribution.choices)  # type: ignore[attr-defined]

    return choice


FORMS: list[tuple[str, BaseDistribution]] = [
    ("1,2", CategoricalDistribution([1, 2])),
    ("a,b", CategoricalDistribution(["a", "b"])),
    ("0.5,1e-3", CategoricalDistribution([0.5, 0.001])),
    ("true,false", CategoricalDistribution([True, False])),
    ("a,null", CategoricalDistribution(["a", None])),
    ("1,1,2", CategoricalDistribution([1, 2])),
    ("choice(1,2,3)", CategoricalDistribution([1, 2, 3])),
    ("choice(true,false)", CategoricalDistribution([True, False])),
    ("choice(0.5)", CategoricalDistribution([0.5])),
    ("choice('a','b c',\"d\")", CategoricalDistribution(["a", "b c", "d"])),
    ("choice([8,16],[8,8])", CategoricalDistribution(["[8,16]", "[8,8]"])),
    ("sort(3,1,2)", CategoricalDistribution([1, 2, 3])),
    ("shuffle(range(1,4))", CategoricalDistribution([1, 2, 3])),
    ("range(0.1,0.35,0.1)", FloatDistribution(0.1, 0.3, step=0.1)),
    ("range(0.1,0.4,0.1)", FloatDistribution(0.1, 0.3, step=0.1)),
    ("range(0,2147483648)", IntDistribution(0, 2**31 - 1)),
    ("range(9007199254740993,9007199254740996)", CategoricalDistribution([2**53 + 1, 2**53 + 2, 2**53 + 3])),
    ("range(1,4)", IntDistribution(1, 3)),
    ("range(4)", IntDistribution(0, 3)),
    ("range(2,9,3)", IntDistribution(2, 8, step=3)),
    ("range(5,0,-2)", IntDistribution(1, 5, step=2)),
    ("range(0,1,0.25)", FloatDistribution(0, 0.75, step=0.25)),
    ("range(1,1.25,0.1)", FloatDistribution(1, 1.2, step=0.1)),
    ("float(range(1,4))", FloatDistribution(1, 3, step=1)),
    ("tag(log,range(1,100))", IntDistribution(1, 99, log=True)),
    ("interval(0,1)", FloatDistribution(0, 1)),
    ("interval(-1e-3,2.5)", FloatDistribution(-0.001, 2.5)),
    ("int(interval(1,4))", IntDistribution(1, 4)),
    ("tag(log,interval(1e-5,1))", FloatDistribution(1e-5, 1, log=True)),
    ("tag(log,int(interval(1,512)))", IntDistribution(1, 512, log=True)),
    ("tag(other,interval(0,1))", FloatDistribution(0, 1)),
]


@pytest.mark.parametrize(("form", "distribution"), FORMS)
@pytest.mark.parametrize("is_given", [True, False])
def test_every_form_of_a_sweep(form: str, distribution: BaseDistribution, is_given: bool) -> None:
    space = build([f"key={form}"]) if is_given else build([], {"key": form})
    assert only(space).name == "key"
    assert only(space).distribution == distribution


def test_values_keep_their_types() -> None:
    distribution = only(build(["key=1,1.0,true,a"])).distribution
    assert isinstance(distribution, CategoricalDistribution)
    assert [type(value) for value in distribution.choices] == [int, float, bool, str]


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        ("choice(true,false)", ["key=true", "key=false"]),
        ("a,null", ["key=a", "key=null"]),
        ("choice('a b',c)", ["key=a\\ b", "key=c"]),
        ("choice('ä',b)", ["key='ä'", "key=b"]),
        ('choice("it\'s",b)', ["key='it\\'s'", "key=b"]),
        ("choice('1',1)", ["key='1'", "key=1"]),
        ("choice('true',true)", ["key='true'", "key=true"]),
        ("choice([8,16],[8])", ["key=[8,16]", "key=[8]"]),
        ("0.5,1e-3", ["key=0.5", "key=0.001"]),
    ],
)
def test_choices_are_written_such_that_hydra_reads_them_again(form: str, texts: list[str]) -> None:
    parameter = only(build([f"key={form}"]))
    assert isinstance(parameter.distribution, CategoricalDistribution)
    written = [parameter.override(value) for value in parameter.distribution.choices]
    assert written == texts
    read = [override.value() for override in PARSER.parse_overrides(written)]
    pairs = zip(read, parameter.distribution.choices, strict=True)
    assert all(value == choice for value, choice in pairs if not isinstance(value, list))


def test_shuffled_choices_are_the_same_space_every_time() -> None:
    spaces = [build(["key=shuffle(1,2,3,4,5,6)"]).description() for _ in range(5)]
    assert spaces == [build(["key=1,2,3,4,5,6"]).description()] * 5


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("interval(2,1)", "the interval is empty, 2.0 is larger than 1.0"),
        ("int(interval(4,1))", "the interval is empty, 4 is larger than 1"),
        ("tag(log,interval(0,1))", "a logarithmic interval must begin above 0, got 0.0"),
        ("tag(log,interval(-1,1))", "a logarithmic interval must begin above 0, got -1.0"),
        ("tag(log,int(interval(0,8)))", "a logarithmic interval must begin above 0, got 0"),
        ("tag(log,range(0,8))", "a logarithmic interval must begin above 0, got 0"),
        ("tag(log,range(1,8,2))", "a logarithmic range needs step 1, got 2"),
        ("tag(log,range(0.5,2,0.5))", "a range of floats cannot be logarithmic"),
        ("range(1,1)", "the range is empty"),
        ("range(3,0)", "the range is empty"),
        ("range(1,4,0)", "the step of a range must not be 0"),
        ("shuffle(range(0,2147483648))", "2147483648 values are too many to be listed one by one"),
        ("range(0,9007199254740994)", "9007199254740994 values are too many to be listed one by one"),
        ("int(interval(0,1e18))", r"integers beyond ±2\*\*53 are exact in a choice only"),
    ],
)
def test_what_cannot_be_searched(form: str, expected: str) -> None:
    with pytest.raises(SearchError, match=expected) as told:
        build([f"key={form}"])
    assert str(told.value).startswith(f"key={form}: ")


# --- Fixed, deleted, added --------------------------------------------------------------------------------------------


def test_fixed_deleted_and_added_keys() -> None:
    params = {"a": 1, "b": "x,y", "c": None, "d": True, "~e": None, "+f": "g,h", "i": ["None", 1, None, {"k": "v,w"}]}
    space = build(["~j", "+k=3", "++l=1,2", "m@n=1"], params)
    point, overrides = space.walk(choose("x", "g", 1))
    assert point == {"b": "x", "+f": "g", "l": 1}
    assert set(overrides) == {
        *("~j", "+k=3", "m@n=1", "a=1", "c=null", "d=true", "~e", "i=['None',1,null,{k:'v,w'}]", "b=x", "+f=g", "++l=1")
    }
    parsed = {override.key_or_group: override.value() for override in PARSER.parse_overrides(overrides)}
    assert str(parsed["i"]) == "['None', 1, None, {'k': 'v,w'}]"


@pytest.mark.parametrize(
    ("argument", "overrides"),
    [
        ("x=7", {"x=7", "y=a"}),
        ("++x=7", {"++x=7", "y=a"}),
        ("~x", {"~x", "y=a"}),
        ("x=8,9", {"x=8", "y=a"}),
        ("y=b", {"x=1", "y=b"}),
        ("y=c,d", {"x=1", "y=c"}),
    ],
)
def test_the_command_line_beats_the_config(argument: str, overrides: set[str]) -> None:
    space = build([argument], {"x": "1,2", "y": "a"})
    assert set(space.walk(choose(1, 8, "c"))[1]) == overrides


def test_the_last_of_two_counts() -> None:
    assert build(["x=1,2", "x=3"]).walk(choose())[1] == ["x=3"]
    assert only(build(["x=3", "x=1,2"])).distribution == CategoricalDistribution([1, 2])


def test_what_every_trial_is_given() -> None:
    arguments = ["x=1", "z=4,5"]
    assert fixed_overrides(OmegaConf.create({"x": "1,2", "y": 3, "z": 9}), arguments, PARSER) == ["x=1", "y=3"]


# --- Conditional spaces -----------------------------------------------------------------------------------------------

CONDITIONAL = {
    "model=large": {"units": "64,128", "norm": True},
    "model=large,units=128": {"dropout": "0.1,0.2"},
    "model=small": {"units": 8},
}


def points_of(space: Space) -> list[set[str]]:
    return [set(space.walk(lambda parameter, p=point: p[parameter.name])[1]) for point in space.points()]  # type: ignore[misc]


def test_a_conditional_space() -> None:
    space = build(["model=small,large", "x=1"], {}, CONDITIONAL)
    large = {"x=1", "model=large", "norm=true"}
    assert space.size() == 4
    assert points_of(space) == [
        {"x=1", "model=small", "units=8"},
        large | {"units=64"},
        large | {"units=128", "dropout=0.1"},
        large | {"units=128", "dropout=0.2"},
    ]


@pytest.mark.parametrize(
    ("argument", "overrides"),
    [
        ("units=32", [{"model=small", "units=32"}, {"model=large", "units=32", "norm=true"}]),
        ("norm=false", None),
        ("model=small", [{"model=small", "units=8"}]),
        ("dropout=0.5,0.6", None),
    ],
)
def test_the_command_line_beats_a_conditional_key(argument: str, overrides: list[set[str]] | None) -> None:
    arguments = [argument] if argument.startswith("model") else ["model=small,large", argument]
    points = points_of(build(arguments, {}, CONDITIONAL))
    if overrides is not None:
        assert points == [{argument} | point if "=" in argument else point for point in overrides]
    elif argument == "norm=false":
        assert all("norm=false" in point and "norm=true" not in point for point in points)
    else:  # still only where the branch is, but with the values given
        dropouts = [sorted(text for text in point if text.startswith("dropout")) for point in points]
        assert dropouts == [[], [], ["dropout=0.5"], ["dropout=0.6"]]


def test_conditions_on_what_the_config_says() -> None:
    def current(key: str) -> str | None:
        return {"model": "large"}.get(key)

    assert points_of(build(["x=1"], {}, {"model=large": {"units": "64,128"}}, current)) == [
        {"x=1", "units=64"},
        {"x=1", "units=128"},
    ]


def test_conditions_on_booleans_and_numbers() -> None:
    space = build(["norm=choice(true,false)", "n=1,2"], {}, {"norm=true,n=2": {"size": "3,4"}})
    assert space.size() == 5


@pytest.mark.parametrize(
    ("conditional", "expected"),
    [
        ({"model=larg": {"units": 1}}, "model is never larg; choices are small, large; did you mean large?"),
        ({"mdoel=large": {"units": 1}}, "there is no key mdoel; did you mean model?"),
        ({"model": {"units": 1}}, "expected key=value as a condition, got 'model'"),
        ({"model=large": {"lr": 1}}, "lr is in params and in the branch model=large; it can be in one of them only"),
        ({"model=large": {"u": "1,2"}, "model=small": {"u": "2,3"}}, "u must be of the same kind in every branch"),
        ({"model=large": {"u": "interval(1,0)"}}, "u=interval.1,0.: the interval is empty"),
    ],
)
def test_impossible_conditional_spaces(conditional: dict[str, Any], expected: str) -> None:
    with pytest.raises(SearchError, match=expected):
        build([], {"model": "small,large", "lr": "interval(0,1)"}, conditional)


def test_ranges_hold_exactly_what_hydra_would_run() -> None:
    for form in ("range(0,1,0.1)", "range(1,2,0.3)", "range(0.1,0.7,0.2)", "range(10,1,-4)", "range(1,10,4)"):
        (override,) = PARSER.parse_overrides([f"key={form}"])
        expected = sorted(float(value) for value in override.sweep_iterator())  # type: ignore[arg-type]
        values = [point["key"] for point in build([f"key={form}"]).points()]
        assert len(values) == len(expected), form
        assert all(math.isclose(value, other) for value, other in zip(values, expected, strict=True)), form
