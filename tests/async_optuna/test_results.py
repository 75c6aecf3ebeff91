"""optimization_results.yaml: what it says at every moment, and the commands it gives."""

import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from app_runs import results
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler

from async_optuna.commands import python
from async_optuna.distinct_sampler import DistinctSampler
from async_optuna.ledger import Ledger
from async_optuna.outcome import Outcome
from async_optuna.results import Results
from async_optuna.space import Parameter, Space

SPACE = Space(
    (Parameter("x", FloatDistribution(-5, 5)), Parameter("z", CategoricalDistribution(["a b"]))),
    {"sweep": "+sweep=x", "test": "test=false", "trainer.max_epochs": "++trainer.max_epochs=3"},
)


@pytest.fixture(autouse=True)
def _script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "my app.py"), "-m", "x=1"])


def ledger(folder: Path, *outcomes: Outcome, directions: tuple[str, ...] = ("minimize",)) -> Ledger:
    """Of a study of so many trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name="s", directions=list(directions))
    ledger = Ledger(study, SPACE, folder, len(outcomes))
    study.sampler = DistinctSampler(lambda seed: RandomSampler(seed=seed), 0, SPACE, ledger.is_seen)
    for outcome in outcomes:
        claim = ledger.claim()
        assert claim is not None
        ledger.finish(claim.number, outcome)
    ledger.refresh()
    return ledger


def written(folder: Path, ledger: Ledger, **settings: Any) -> dict[str, Any]:
    Results(ledger, "study.journal", settings.pop("metric_names", ["loss"]), **settings).write()
    assert not list(folder.glob("*.tmp"))
    return results(folder)


def test_the_best_trial_and_the_counts(tmp_path: Path) -> None:
    outcomes = [Outcome("COMPLETE", [3.0]), Outcome("COMPLETE", [2.0]), Outcome("PRUNED"), Outcome("FAIL")]
    content = written(tmp_path, ledger(tmp_path, *outcomes))
    point = content["best_params"]
    assert set(point) == {"x", "z"}
    command = f"{python()} 'my app.py' +sweep=x test=false ++trainer.max_epochs=3 x={point['x']} 'z=a b'"
    assert content == {
        "name": "optuna",
        "study_name": "s",
        "storage": "study.journal",
        "metrics": ["loss"],
        "directions": ["minimize"],
        "counts": {"complete": 2, "pruned": 1, "failed": 1, "interrupted": 0, "running": 0},
        "best_params": point,
        "best_value": 2.0,
        "best_trial": 1,
        "best_folder": "1",
        "reproduce": command,
        "retrain": command,
    }


def test_commands_leave_out_replace_and_keep_the_flags(tmp_path: Path) -> None:
    content = written(
        tmp_path,
        ledger(tmp_path, Outcome("COMPLETE", [3.0])),
        left_out=["sweep"],
        retrain=["trainer.max_epochs=30", "test=true"],
        flags=["--config-name", "other"],
    )
    x = content["best_params"]["x"]
    start = f"{python()} 'my app.py' --config-name other"
    assert content["reproduce"] == f"{start} test=false ++trainer.max_epochs=3 x={x} 'z=a b'"
    assert content["retrain"] == f"{start} x={x} 'z=a b' trainer.max_epochs=30 test=true"


def test_without_a_complete_trial_there_is_no_best(tmp_path: Path) -> None:
    content = written(tmp_path, ledger(tmp_path, Outcome("PRUNED"), Outcome("FAIL")))
    assert not [key for key in content if key.startswith("best") or key in ("reproduce", "solutions")]
    assert content["counts"]["pruned"] == 1


def test_an_infeasible_trial_is_no_best_and_is_counted(tmp_path: Path) -> None:
    outcomes = [Outcome("COMPLETE", [1.0], infeasible="too large"), Outcome("COMPLETE", [2.0])]
    content = written(tmp_path, ledger(tmp_path, *outcomes))
    assert (content["best_trial"], content["best_value"]) == (1, 2.0)
    assert content["counts"]["infeasible"] == 1


def test_several_objectives_have_solutions_that_no_other_beats(tmp_path: Path) -> None:
    values = [(1.0, 1.0), (2.0, 2.0), (1.5, 3.0), (0.5, 0.5), (3.0, 2.5)]
    study = ledger(tmp_path, *[Outcome("COMPLETE", list(pair)) for pair in values], directions=("minimize", "maximize"))
    content = written(tmp_path, study, metric_names=["seconds", "accuracy"])
    assert [(one["trial"], one["folder"], one["values"]) for one in content["solutions"]] == [
        (0, "0", [1.0, 1.0]),
        (2, "2", [1.5, 3.0]),
        (3, "3", [0.5, 0.5]),
    ]
    assert all(set(one["params"]) == {"x", "z"} for one in content["solutions"])
    assert "best_value" not in content
