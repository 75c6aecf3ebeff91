"""Opening a study: what is new is checked before it is written, and only the same search may join."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from async_optuna.errors import SearchError
from async_optuna.space import Branch, Parameter, Space
from async_optuna.study import open_study


def space(
    high: float = 5, fixed: Mapping[str, str] | None = None, choices: tuple[Any, ...] = ("a",), bound: float = 1
) -> Space:
    return Space(
        (Parameter("x", FloatDistribution(-5, high)), Parameter("z", CategoricalDistribution(choices))),
        fixed or {},
        (Branch((("z", "a"),), (Parameter("dropout", FloatDistribution(0, bound)),)),),
    )


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def open_one(
        folder: str = "sweep",
        of: Space | None = None,
        directions: tuple[str, ...] = ("minimize",),
        metrics: tuple[str, ...] = ("loss",),
        name: str = "s",
        pins: Mapping[str, Any] | None = None,
        may_differ: tuple[str, ...] = (),
        prepare: Callable[[bool], Mapping[str, Any]] | None = None,
    ) -> optuna.Study:
        return open_study(
            tmp_path / folder,
            None,
            name,
            directions,
            metrics,
            None,
            (of or space()).description(),
            may_differ,
            prepare or (lambda is_new: pins or {}),
        )

    return open_one


def test_a_new_study_says_what_it_is(opened: Callable[..., optuna.Study]) -> None:
    study = opened(directions=("minimize", "maximize"), metrics=("loss", "accuracy"))
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert study.metric_names == ["loss", "accuracy"]
    assert study.trials == []


def test_the_same_search_joins(opened: Callable[..., optuna.Study]) -> None:
    opened().ask()
    assert len(opened().trials) == 1


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"of": space(high=4)}, "x was interval(-5, 5), is interval(-5, 4)"),
        ({"of": space(fixed={"y": "y=1"})}, "y is new (1)"),
        ({"of": space(fixed={"y": "~y"})}, "y is new (deleted)"),
        ({"of": space(bound=0.5)}, "dropout where z=a was interval(0, 1), is interval(0, 0.5)"),
        ({"of": Space(space().parameters)}, "dropout where z=a is missing (was interval(0, 1))"),
        ({"metrics": ("accuracy",)}, "metrics was loss, is accuracy"),
    ],
)
def test_another_search_is_refused_with_the_difference_in_words(
    changed: dict[str, Any], difference: str, opened: Callable[..., optuna.Study]
) -> None:
    opened()
    with pytest.raises(SearchError) as told:
        opened(**changed)
    assert str(told.value) == (
        f"study s is another search: {difference}; change it back, or name another hydra.sweeper.study_name"
    )


def test_a_wider_interval_is_the_same_search_and_a_new_choice_needs_a_new_one(
    opened: Callable[..., optuna.Study], capsys: pytest.CaptureFixture[str]
) -> None:
    opened()
    opened(of=space(high=8, bound=2))
    assert capsys.readouterr().out == (
        "note: the space grows: x from interval(-5, 5) to interval(-5, 8); "
        "dropout where z=a from interval(0, 1) to interval(0, 2)\n"
    )
    opened(of=space(high=8, bound=2))
    assert capsys.readouterr().out == ""
    with pytest.raises(SearchError, match=r"x was interval\(-5, 8\), is interval\(-5, 5\)"):
        opened()
    with pytest.raises(SearchError) as told:
        opened(of=space(high=9, bound=2, choices=("a", "b")))
    assert str(told.value) == (
        "study s is another search: z was choice(a), is choice(a, b); change it back, or name another "
        "hydra.sweeper.study_name; hydra.sweeper.warm_start=<sweep folder> takes the trials of this one along"
    )


@pytest.mark.parametrize(
    ("small", "large", "grows"),
    [
        (IntDistribution(2, 4), IntDistribution(1, 9), True),
        (IntDistribution(2, 8, step=3), IntDistribution(1, 10, step=3), False),
        (IntDistribution(2, 8, step=3), IntDistribution(2, 11, step=3), True),
        (FloatDistribution(0.1, 0.3, step=0.1), FloatDistribution(0.1, 0.5, step=0.1), True),
        (FloatDistribution(1, 2), FloatDistribution(1, 4, log=True), False),
        (IntDistribution(1, 2), FloatDistribution(1, 4), False),
    ],
)
def test_what_one_study_can_hold(
    small: BaseDistribution, large: BaseDistribution, grows: bool, opened: Callable[..., optuna.Study]
) -> None:
    opened(of=Space((Parameter("x", small),)))
    if grows:
        opened(of=Space((Parameter("x", large),)))
    else:
        with pytest.raises(SearchError, match="another search: x was"):
            opened(of=Space((Parameter("x", large),)))


def test_every_difference_is_named(opened: Callable[..., optuna.Study]) -> None:
    opened(of=space(fixed={"y": "y=1", "w": "w=1"}))
    with pytest.raises(SearchError, match="y was 1, is 2; w is missing .was 1.; x was interval"):
        opened(of=space(high=4, fixed={"y": "y=2"}))


def test_equal_words_for_unequal_choices_are_shown_in_full(opened: Callable[..., optuna.Study]) -> None:
    opened(of=space(choices=(1, 2)))
    with pytest.raises(SearchError, match=r'z was .*\[1, 2\].*, is .*\["1", "2"\]'):
        opened(of=space(choices=("1", "2")))


def test_another_direction(opened: Callable[..., optuna.Study]) -> None:
    opened()
    with pytest.raises(SearchError, match="study s is to minimize, not to maximize; name another study"):
        opened(directions=("maximize",))
    with pytest.raises(SearchError, match="study s is to minimize, not to minimize and maximize"):
        opened(directions=("minimize", "maximize"), metrics=("loss", "accuracy"))


def test_what_means_nothing_to_the_result_may_differ(opened: Callable[..., optuna.Study]) -> None:
    opened(of=space(fixed={"data.root": "data.root=a"}), may_differ=("data.root",))
    opened(of=space(fixed={"data.root": "data.root=b"}), may_differ=("data.root",))
    opened(of=space(), may_differ=("data.root",))


def test_other_data_are_refused_with_both_named(opened: Callable[..., optuna.Study]) -> None:
    opened(pins={"dataset": "mnist", "checksums": {"images": "12="}})
    opened(pins={"dataset": "mnist", "checksums": {"images": "12="}})
    with pytest.raises(SearchError, match="study s was made on other data: dataset was mnist, is mnist-5k"):
        opened(pins={"dataset": "mnist-5k", "checksums": {"images": "12="}})
    with pytest.raises(SearchError, match="checksums images was 12=, is 34="):
        opened(pins={"dataset": "mnist", "checksums": {"images": "34="}})


def test_nothing_is_written_for_a_search_that_cannot_be(opened: Callable[..., optuna.Study], tmp_path: Path) -> None:
    def refuse(is_new: bool) -> Mapping[str, Any]:
        assert is_new
        raise SearchError("no")

    with pytest.raises(SearchError, match="no"):
        opened(prepare=refuse)
    assert list(tmp_path.iterdir()) == []
    opened()
    heard = []
    opened(prepare=lambda is_new: heard.append(is_new) or {})
    assert heard == [False]


@pytest.mark.parametrize("has_journal", [False, True])
def test_the_folder_of_another_study(has_journal: bool, opened: Callable[..., optuna.Study], tmp_path: Path) -> None:
    if has_journal:
        opened(name="other")
    (tmp_path / "sweep/0").mkdir(parents=True)
    with pytest.raises(SearchError, match="sweep holds trials of another study; name another hydra.sweeper.study_name"):
        opened()


def test_others_may_make_it_and_run_trials_while_this_one_prepares(
    opened: Callable[..., optuna.Study], tmp_path: Path
) -> None:
    def prepare(is_new: bool) -> dict[str, str]:
        opened(pins={"data": "abc"}).ask()
        (tmp_path / "sweep/0").mkdir()
        return {"data": "abc"}

    assert len(opened(prepare=prepare).trials) == 1


def test_a_study_that_another_program_made_can_be_joined(opened: Callable[..., optuna.Study], tmp_path: Path) -> None:
    from async_optuna.storage import open_storage

    (tmp_path / "sweep").mkdir()
    other = optuna.create_study(study_name="s", storage=open_storage(None, tmp_path / "sweep"))
    other.tell(other.ask(), 1.0)
    assert opened().best_value == 1.0
    with pytest.raises(SearchError, match="another search"):
        opened(of=space(high=4))
