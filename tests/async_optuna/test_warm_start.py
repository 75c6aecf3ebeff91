"""Where the trials of another search are read from."""

from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from async_optuna.errors import SearchError
from async_optuna.warm_start import earlier_trials


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Of a study with a complete, a pruned and a failed trial."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = f"sqlite:///{tmp_path}/studies.db"
    study = optuna.create_study(storage=url, study_name="first")
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL):
        value = 1.5 if state == TrialState.COMPLETE else None
        params, distributions = {"x": 0.5}, {"x": FloatDistribution(0, 1)}
        study.add_trial(
            create_trial(
                state=state,
                value=value,
                params=params,
                distributions=distributions,
                user_attrs={"overrides": ["++seed=3", "x=0.5"]},
            )
        )
    return url


def test_a_study_in_a_database(database: str, tmp_path: Path) -> None:
    for source in (f"{database}/first", {"storage": database, "study_name": "first"}):
        complete, pruned = earlier_trials(source, tmp_path, ["minimize"], ["value"])
        assert (complete.params, complete.values) == ({"x": 0.5}, [1.5])
        assert complete.texts == {"seed": "3", "x": "0.5"}
        assert pruned.values is None


def test_what_is_not_there_is_told_and_not_made(database: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "table.csv").write_text("trial,x\n0,1\n", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    for source, expected in {
        f"{database}/second": "holds no study second; it holds first",
        f"sqlite:///{tmp_path}/other.db/first": "expected <storage URL>/<study name>, and there is no file",
        "emty": "there is no such file or folder; did you mean empty?",
        "empty": "expected study.journal or optimization_results.yaml",
        f"{tmp_path}/table.csv": "has no column loss",
        f"{tmp_path}/none.csv": "cannot be read",
    }.items():
        with pytest.raises(SearchError, match=expected):
            earlier_trials(source, tmp_path / "sweep", ["minimize"], ["loss"])
    assert sorted(tmp_path.rglob("*")) == before


def test_rows_of_a_leaderboard_without_a_usable_value_are_left_out(tmp_path: Path) -> None:
    table = tmp_path / "leaderboard.csv"
    rows = ["state,value,x,infeasible", "COMPLETE,nan,1,", "COMPLETE,0.1,2,size > 3", "COMPLETE,0.5,3,", "COMPLETE,0.4"]
    table.write_text("\n".join(rows), encoding="utf-8")
    found = earlier_trials(str(table), tmp_path / "sweep", ["minimize"], ["value"])
    assert [(trial.values, trial.texts.get("x")) for trial in found] == [([0.5], "3"), ([0.4], None)]


def test_what_is_no_earlier_search_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    sweep_dir = tmp_path / "sweep"
    sweep_dir.mkdir()
    (tmp_path / "notes.json").write_text('{"precious": 1}')
    (tmp_path / "table.csv").write_text("value,x\nabc,1\n", encoding="utf-8")
    for source, expected in {
        f"{tmp_path}/notes.json": "is no journal of a study, or its beginning is damaged; it is left as it is",
        f"{tmp_path}/table.csv": "expected a number as the value of a complete trial, got 'abc'",
        str(sweep_dir): "is this search itself",
        5: "expected a sweep folder, <storage URL>/<study name> or a leaderboard.csv",
    }.items():
        with pytest.raises(SearchError, match=expected):
            earlier_trials(source, sweep_dir, ["minimize"], ["value"])
    assert (tmp_path / "notes.json").read_text() == '{"precious": 1}'
