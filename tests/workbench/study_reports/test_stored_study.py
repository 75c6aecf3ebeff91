"""A study is reported on from its storage alone, by a machine that has none of its folders."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from conftest import Finished


@pytest.fixture
def storage(tmp_path: Path) -> str:
    """Two studies; the trials of `far` ran on other machines."""
    url = f"sqlite:///{tmp_path}/study.db"
    for name, values in (("far", [0.3, 0.1, 0.2]), ("near", [1.0])):
        study = optuna.create_study(study_name=name, storage=url)
        with pytest.warns(optuna.exceptions.ExperimentalWarning):
            study.set_metric_names(["val/loss"])
        for number, value in enumerate(values):
            attributes = {"owner": f"node{number}-abc", "folder": str(number), "overrides": [f"x={value}"]}
            study.add_trial(
                create_trial(
                    params={"x": value},
                    distributions={"x": FloatDistribution(0, 1)},
                    value=value,
                    user_attrs=attributes,
                )
            )
        study.add_trial(create_trial(state=TrialState.RUNNING))
    return url


def test_the_report_tells_where_the_trials_are(storage: str, command: Callable[..., Finished], tmp_path: Path) -> None:
    done = command("scripts/report.py", f"storage={storage}", "study_name=far", "--no-figures")
    assert done.status == 0, done.err
    assert "Study far (minimize val/loss): 3 complete, 1 running" in done.out
    assert "node1:1" in done.out
    assert "x=0.1" in done.out
    assert "Not written: best_experiment.yaml (its config is on another machine, in node1:1)" in done.out
    table = (tmp_path / "outputs/reports/far/leaderboard.csv").read_text(encoding="utf-8")
    assert all(f"node{number}:{number}" in table for number in range(3))
    done = command("scripts/report.py", f"storage={storage}", "study_name=far", "--trial", "2")
    assert done.status == 0, done.err
    assert "node2:2" in done.out


def test_several_studies_are_listed(storage: str, command: Callable[..., Finished]) -> None:
    done = command("scripts/report.py", f"storage={storage}")
    assert done.status == 0, done.err
    assert [line.split()[:4] for line in done.out.splitlines()[1:] if line][:2] == [
        ["far", "4", "3", "1"],
        ["near", "2", "1", "1"],
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["study_name=fat"], "no study fat in the storage: it holds far, near; did you mean far?"),
        (["study=far"], "expected storage=… and study_name=…, got study"),
    ],
)
def test_mistakes_are_told(arguments: list[str], expected: str, storage: str, command: Callable[..., Finished]) -> None:
    done = command("scripts/report.py", f"storage={storage}", *arguments)
    assert done.status == 1
    assert expected in done.err
