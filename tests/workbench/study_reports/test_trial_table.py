"""The ranking and the numbers of each trial."""

from pathlib import Path

import pytest
from sweep_maker import SweepMaker

from cnnlab.workbench.study_reports.sweep_folder import read
from cnnlab.workbench.study_reports.trial_table import best_reported, counts, trial_table


def test_complete_then_pruned_then_failed_then_running(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    maker.trial({"a": 0}, state="FAIL", reports=[0.999], reason="loss is NaN")
    maker.trial({"a": 1}, 0.90)
    maker.trial({"a": 2}, state="PRUNED", reports=[0.5, 0.97, 0.6])
    maker.trial({"a": 3}, state="RUNNING", reports=[0.99])
    maker.trial({"a": 4}, 0.95)
    maker.trial({"a": 5}, state="FAIL", interrupted=True, reason="Ctrl-C")
    maker.trial({"a": 6}, state="PRUNED", reports=[0.98])
    maker.trial({"a": 7}, state="WAITING")
    maker.trial({"a": 8}, 0.95)
    maker.trial({"a": 9}, 0.99, warm_start="another search")
    table = trial_table(read(maker.finish()))
    assert list(table.index) == [4, 8, 1, 6, 2, 0, 3, 5, 7, 9]  # equal values: the older trial first
    assert list(table["state"])[-5:] == ["FAIL", "RUNNING", "INTERRUPTED", "WAITING", "WARM_START"]
    assert list(table["rank"].dropna()) == [1, 2, 3, 4, 5]
    assert table.at[2, "value"] == 0.97
    assert table.at[2, "best_epoch"] == 2
    assert table["value"].isna()[[0, 5]].all()  # what a failed trial had reached does not count
    expected = {"COMPLETE": 3, "PRUNED": 2, "FAIL": 1, "RUNNING": 1, "WAITING": 1, "INTERRUPTED": 1}
    assert counts(table) == expected


def test_less_is_better_when_minimising(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path, ["val/loss"], ["minimize"])
    for value in (0.3, 0.1, float("inf"), 0.2):
        maker.trial({"a": 1}, value)
    maker.trial({"a": 1}, state="PRUNED", reports=[0.9, 0.4, 0.7])
    table = trial_table(read(maker.finish()))
    assert list(table.index) == [1, 3, 0, 2, 4]
    assert table.at[4, "value"] == 0.4


def test_metrics_and_attributes_of_the_run(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    metrics = {"val/loss": 0.1, "best_epoch": 2, "epochs": 3, "train_seconds": 1.5, "seed": 9, "model": "TinyVGG"}
    maker.trial({"seed": 1}, 0.9, seconds=7.0, metrics=metrics, source="defaults", slot=3, reports=[0.9, 0.8])
    maker.trial({"seed": 2}, 0.8, seconds=5.0, reports=[0.7, 0.8, 0.6], retry_of=0, folder="somewhere/1")
    table = trial_table(read(maker.finish()))
    first, second = table.loc[0], table.loc[1]
    assert (first["val/loss"], first["train_seconds"], first["seconds"], first["model"]) == (0.1, 1.5, 7.0, "TinyVGG")
    assert (first["best_epoch"], first["epochs"], first["source"], first["slot"]) == (2, 3, "defaults", 3)
    assert (second["best_epoch"], second["epochs"], second["retry_of"], second["folder"]) == (2, 3, 0, "somewhere/1")
    assert "seed" not in table  # the searched one is in the table of parameters


def test_pareto_optimal_trials_come_first(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path, ["val/accuracy", "train_seconds"], ["maximize", "minimize"])
    for values in ((0.9, 10.0), (0.95, 30.0), (0.93, 40.0), (0.8, 5.0), (0.9, 12.0), (0.95, 30.0)):
        maker.trial({"a": 1}, values)
    maker.trial({"a": 1}, state="FAIL")
    table = trial_table(read(maker.finish()))
    assert list(table.index) == [1, 5, 0, 3, 2, 4, 6]
    assert list(table["pareto"]) == [True, True, True, True, False, False, False]
    assert set(table.index[table["pareto"]]) == {t.number for t in maker.study.best_trials}  # as Optuna finds them


@pytest.mark.parametrize(("maximize", "best"), [(True, (2, 0.7)), (False, (1, 0.1))])
def test_the_earliest_of_equally_good_reports(maximize: bool, best: tuple[int, float], tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    number = maker.trial({}, state="PRUNED", reports=[0.1, 0.7, float("nan"), 0.7, 0.1])
    assert best_reported(maker.study.trials[number], maximize) == best


def test_another_searchs_trials_take_nothing_from_the_front(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path, ["val/accuracy", "num_parameters"], ["maximize", "minimize"])
    maker.trial({"a": 0}, [0.99, 10.0], warm_start="another search")
    maker.trial({"a": 1}, [0.98, 20.0], infeasible="train_seconds > 3")
    for number, values in enumerate(([0.9, 40.0], [0.8, 30.0], [0.7, 35.0]), start=2):
        maker.trial({"a": number}, values)
    table = trial_table(read(maker.finish()))
    assert list(table.index[table["pareto"]]) == [2, 3]
