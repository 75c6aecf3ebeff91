"""The config that a study was made with: what is compared, what is accepted, and what is only noted."""

from typing import Any

import optuna
import pytest

from async_optuna.errors import SearchError
from async_optuna.study_config import StudyConfig, note_code_version


@pytest.fixture
def study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(study_name="s")


def test_an_older_study_is_joined_and_has_its_config_from_then_on(study: optuna.Study) -> None:
    study.tell(study.ask(), 1.0)
    StudyConfig({"lr": 0.1}).keep(study, accept_changes=False)
    assert "config_changes" not in study.user_attrs
    with pytest.raises(SearchError, match=r"study s was made with another config: lr was 0.1, is 0.2; change it back"):
        StudyConfig({"lr": 0.2}).check(study, accept_changes=False)


def test_nothing_and_a_key_that_is_not_there_are_two_things(study: optuna.Study) -> None:
    StudyConfig({"lr": None, "seed": 1}).keep(study, accept_changes=False)
    with pytest.raises(SearchError, match=r"lr was null, is 0.2; seed is missing \(was 1\); steps is new \(null\)"):
        StudyConfig({"lr": 0.2, "steps": None}).check(study, accept_changes=False)


@pytest.mark.parametrize(("device", "differs"), [("cpu", True), ("gpu", False)])
def test_below_a_choice_that_may_differ_so_may_the_keys(device: str, differs: bool, study: optuna.Study) -> None:
    StudyConfig({"trainer.precision": 32}, {"trainer": "cpu"}).keep(study, accept_changes=False)
    found = StudyConfig({"trainer.precision": 16}, {"trainer": device}).check(study, accept_changes=True)
    assert bool(found) is differs


def test_what_means_nothing_to_the_result_any_more_may_differ_in_an_older_study(study: optuna.Study) -> None:
    older = {"lr": 0.1, "trainer.lean": True, "data.cache.on": 1, "trainer.lean where network=small": False}
    StudyConfig(older).keep(study, accept_changes=False)
    assert StudyConfig({"lr": 0.1}, may_differ=["trainer.lean", "data.cache"]).check(study, accept_changes=False) == []


def test_other_code_is_noted(study: optuna.Study, capsys: pytest.CaptureFixture[str]) -> None:
    for version in ("abc", "abc", "def"):
        note_code_version(study, version)
    assert capsys.readouterr().out == "note: the code has changed since the study began: it was abc, it is def\n"


def test_a_long_list_of_changes_is_cut(study: optuna.Study) -> None:
    def config(value: int) -> StudyConfig:
        values: dict[str, Any] = {f"key{number}": value for number in range(100)}
        return StudyConfig(values)

    config(1).keep(study, accept_changes=False)
    with pytest.raises(SearchError, match="key11 was 1, is 2; and 88 more; change it back"):
        config(2).check(study, accept_changes=False)
