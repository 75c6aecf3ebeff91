"""The leaderboard as text, Markdown and CSV."""

import csv
import io
import json
import math
from pathlib import Path

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from sweep_maker import SweepMaker

from cnnlab.workbench.notation import aligned, short_names
from cnnlab.workbench.study_reports import leaderboard
from cnnlab.workbench.study_reports.study_page import study_page
from cnnlab.workbench.study_reports.sweep_folder import Sweep, read
from cnnlab.workbench.study_reports.trial_table import outcome, param_table, trial_table

NORM = {"model.norm": CategoricalDistribution(("batch", None, True))}


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Two branches of a conditional space, one trial of every state."""
    maker = SweepMaker(tmp_path)
    metrics = {"val/accuracy": 0.97, "val/loss": 0.1, "num_parameters": 7740, "train_seconds": 9.5, "best_epoch": 4}
    first = {"model": "tinyvgg", "optimizer.lr": 0.005, "model.norm": None}
    maker.trial(first, 0.97, metrics=metrics, distributions=NORM, source="defaults")
    maker.trial({"model": "mlp", "optimizer.lr": 0.00012345678, "mlp.depth": 3}, 0.9812, seconds=1234.0)
    pruned = {"model": "tinyvgg", "optimizer.lr": 0.1, "model.norm": True}
    maker.trial(pruned, state="PRUNED", reports=[0.5], distributions=NORM, reason="worse than the median")
    maker.trial({"model": "mlp", "optimizer.lr": 1.0, "mlp.depth": 1}, state="FAIL", reason="loss is NaN | epoch\n3")
    maker.trial({"model": "mlp", "optimizer.lr": 2.0}, state="FAIL", interrupted=True, reason="Ctrl-C")
    maker.trial({"model": "mlp", "optimizer.lr": 3.0}, state="RUNNING")
    return read(maker.finish())


def test_the_printed_rows(sweep: Sweep) -> None:
    cells = leaderboard.leaderboard_rows(sweep, leaderboard.ranked(trial_table(sweep)), param_table(sweep))
    assert cells[0] == ["rank", "trial", "state", "value", "best epoch", "seconds", "model", "lr", "norm", "depth"]
    assert cells[1] == ["1", "1", "COMPLETE", "98.12%", "", "1,234", "mlp", "0.0001235", "", "3"]
    assert cells[2] == ["2", "0 (defaults)", "COMPLETE", "97.00%", "4", "10.0", "tinyvgg", "0.005", "null", ""]
    assert cells[3] == ["3", "2", "PRUNED", "50.00%", "1", "10.0", "tinyvgg", "0.1", "true", ""]
    assert [row[:4] for row in cells[4:]] == [["", "3", "FAIL", ""], ["", "5", "RUNNING", ""]]


def test_metrics_that_trials_have_set_are_columns_and_infeasible_ones_come_last(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    too_large = {"infeasible": "num_parameters is 30,000, at most 20,000 is allowed"}
    for value, size, attributes in ((0.9, 30_000, too_large), (0.7, 10_000, {}), (0.8, 20_000, {})):
        maker.trial({"x": value}, value, **{"metric:num_parameters": size}, **attributes)
    sweep = read(maker.finish())
    table, params = trial_table(sweep), param_table(sweep)
    cells = leaderboard.leaderboard_rows(sweep, table, params, reasons=True)
    assert cells[0][:5] == ["rank", "trial", "state", "value", "num_parameters"]
    assert [row[1:5] for row in cells[1:]] == [
        ["2", "COMPLETE", "80.00%", "20,000"],
        ["1", "COMPLETE", "70.00%", "10,000"],
        ["0", "COMPLETE (infeasible)", "90.00%", "30,000"],
    ]
    assert cells[3][-1] == too_large["infeasible"]
    rows = pd.read_csv(io.StringIO(leaderboard.as_csv(table, params)))
    assert rows["num_parameters"].tolist() == [20_000, 10_000, 30_000]


def test_trials_of_several_runs_have_means_and_a_spread(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    of_runs = {"repeat_seeds": [0, 1], "repeat_values": [0.8, 0.9], "repeat_sd": 0.0707, "folder": "0/seed_0"}
    maker.trial({"x": 1.0}, 0.85, **of_runs)
    maker.trial({"x": 2.0}, 0.8)
    for seed, loss in enumerate((0.2, 0.4)):
        run = tmp_path / f"0/seed_{seed}"
        run.mkdir(parents=True)
        metrics = {"val/loss": loss, "model": "MLP", "batch_size": 32, "seed": seed}
        (run / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    sweep = read(maker.finish())
    table = trial_table(sweep)
    cells = leaderboard.leaderboard_rows(sweep, table, param_table(sweep))
    assert [row[3] for row in cells[1:]] == ["85.00% ± 7.07%", "80.00%"]
    assert table.at[0, "val/loss"] == pytest.approx(0.3)
    assert (table.at[0, "model"], table.at[0, "batch_size"], "seed" in table) == ("MLP", 32, False)
    assert outcome(sweep, sweep.trials[0]) == f"{sweep.metrics[0]} 85.00% ± 7.07%"
    assert sweep.step == "run"


def test_parameters_that_no_shown_trial_has_are_left_out(sweep: Sweep) -> None:
    cells = leaderboard.leaderboard_rows(sweep, leaderboard.ranked(trial_table(sweep)).head(1), param_table(sweep))
    assert cells[0][6:] == ["model", "lr", "depth"]


def test_a_narrow_terminal_drops_what_tells_trials_apart_last(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for number in range(3):
        maker.trial(
            {"a.differs": number, "b.same": 7, "c.wide_and_differs": (number + 1) / 3, "d.same_and_wide": 1}, 0.5
        )
    sweep = read(maker.finish())
    table, params = trial_table(sweep), param_table(sweep)
    cells, hidden = leaderboard.fitted(sweep, table, params, 200)
    assert (cells[0][6:], hidden) == (["differs", "wide_and_differs", "same", "same_and_wide"], [])
    cells, hidden = leaderboard.fitted(sweep, table, params, 60, important=["c.wide_and_differs", "a.differs"])
    assert hidden == ["same_and_wide", "same", "seconds", "best epoch"]
    assert cells[0][4:] == ["wide_and_differs", "differs"]
    assert max(map(len, aligned(cells).splitlines())) <= 60
    assert leaderboard.fitted(sweep, table, params, 1)[0][0] == cells[0][:4]


def test_a_terminal_of_80_columns_shows_what_matters_most(tmp_path: Path) -> None:
    maker, names = SweepMaker(tmp_path), ["model.pool", "model.norm", "model.padding", "augment", "model.stride"]
    for number in range(6):
        params = dict.fromkeys(names, ("max", "avg")[number % 2])
        maker.trial({**params, "optimizer": ("adam", "sgd")[number % 2], "optimizer.lr": 0.1 / (number + 1)}, 0.5)
    sweep = read(maker.finish())
    cells, _ = leaderboard.fitted(sweep, trial_table(sweep), param_table(sweep), 80)
    assert {"lr", "optimizer"} < set(cells[0])
    assert max(map(len, aligned(cells).splitlines())) <= 80


def test_defaults_that_were_run_again_after_ctrl_c_are_the_defaults(tmp_path: Path) -> None:
    """Older studies write only `retry` at the second trial."""
    maker = SweepMaker(tmp_path)
    maker.trial({"lr": 0.1}, state="FAIL", interrupted=True, source="defaults")
    maker.trial({"lr": 0.2}, state="FAIL", interrupted=True)
    maker.trial({"lr": 0.1}, state="FAIL", interrupted=True, source="retry", retry_of=0)
    maker.trial({"lr": 0.1}, 0.9, source="retry", retry_of=2)
    maker.trial({"lr": 0.2}, 0.8, source="retry", retry_of=1)
    sweep = read(maker.finish())
    cells = leaderboard.leaderboard_rows(sweep, leaderboard.ranked(trial_table(sweep)), param_table(sweep))
    assert [row[1] for row in cells[1:]] == ["3 (defaults)", "4"]


def test_markdown_has_every_finished_trial_and_its_reason(sweep: Sweep) -> None:
    text = leaderboard.as_markdown(sweep, trial_table(sweep), param_table(sweep))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 4
    assert lines[0].endswith("| depth | reason |")
    assert lines[1].count("---") == 11
    assert lines[4].endswith("| worse than the median |")
    assert lines[5].endswith("| 1 | loss is NaN \\| epoch 3 |")
    assert "Ctrl-C" not in text


def test_the_csv_has_every_trial_and_column(sweep: Sweep) -> None:
    text = leaderboard.as_csv(trial_table(sweep), param_table(sweep))
    table = pd.read_csv(io.StringIO(text), keep_default_na=False).set_index("trial")
    assert list(table.index) == [1, 0, 2, 3, 5, 4]
    assert list(table["state"]) == ["COMPLETE", "COMPLETE", "PRUNED", "FAIL", "RUNNING", "INTERRUPTED"]
    assert list(table["rank"]) == ["1", "2", "3", "", "", ""]
    assert table.at[1, "optimizer.lr"] == 0.00012345678
    assert list(table["model.norm"]) == ["", "null", "true", "", "", ""]
    assert (table.at[0, "val/loss"], table.at[0, "num_parameters"], table.at[1, "num_parameters"]) == (
        "0.1",
        "7740",
        "",
    )
    assert (table.at[4, "reason"], table.at[0, "source"], table.at[3, "folder"]) == ("Ctrl-C", "defaults", 3)
    assert {"best_epoch", "epochs", "seconds", "train_seconds", "retry_of", "slot", "started"} < set(table.columns)


def test_a_parameter_named_like_a_column_is_told_apart(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    maker.trial({"rank": 7, "x.seconds": 3}, 0.5)
    sweep = read(maker.finish())
    assert leaderboard.leaderboard_rows(sweep, trial_table(sweep), param_table(sweep))[0][6:] == ["rank", "x.seconds"]
    table = pd.read_csv(io.StringIO(leaderboard.as_csv(trial_table(sweep), param_table(sweep))))
    assert (table.at[0, "rank"], table.at[0, "params_rank"], table.at[0, "x.seconds"]) == (1, 7, 3)


def test_metrics_named_like_columns_and_parameters_are_told_apart(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    own = {f"metric:{name}": 7.5 for name in ("trial", "value", "state", "rank", "mean", "pareto", "seconds", "lr")}
    file = {"trial": 1, "pareto": True, "rank": 3, "best_epoch": math.inf, "num_parameters": 1e30}
    for i in range(3):
        maker.trial({"lr": 0.1 * (i + 1)}, 0.1 * i, metrics=file, **own)
    sweep = read(maker.finish())
    table = trial_table(sweep)
    assert list(table.index) == [2, 1, 0]
    assert dict.fromkeys(own, 7.5) == table.loc[0, list(own)].to_dict()
    rows = list(csv.DictReader(leaderboard.as_csv(table, param_table(sweep)).splitlines()))
    assert [rows[0][name] for name in ("trial", "lr", "metric:lr", "best_epoch")] == [
        "2",
        "0.30000000000000004",
        "7.5",
        "",
    ]
    header = leaderboard.leaderboard_rows(sweep, table, param_table(sweep))[0]
    assert len(header) == len(set(header))


def test_an_objective_in_seconds_is_no_time_that_may_be_left_out(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path, ["val/accuracy", "seconds"], ["maximize", "minimize"])
    maker.trial({"lr": 0.1}, [0.9, 3.21], seconds=99.0)
    sweep = read(maker.finish())
    rows, hidden = leaderboard.fitted(sweep, trial_table(sweep), param_table(sweep), 50)
    assert rows[1][:5] == ["1*", "0", "COMPLETE", "90.00%", "3.2"]
    assert "seconds" in hidden
    assert 'data-value="3.21"' in study_page(sweep, trial_table(sweep), param_table(sweep), None, [0], {})


def test_several_objectives_are_marked(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path, ["val/accuracy", "num_parameters"], ["maximize", "minimize"])
    maker.trial({"a": 1}, [0.9, 70_000.0])
    maker.trial({"a": 2}, [0.8, 80_000.0])
    sweep = read(maker.finish())
    cells = leaderboard.leaderboard_rows(sweep, trial_table(sweep), param_table(sweep))
    assert cells[0][:5] == ["rank", "trial", "state", "val/accuracy", "num_parameters"]
    assert [row[0] for row in cells[1:]] == ["1*", "2"]
    assert cells[1][3:5] == ["90.00%", "70,000"]


def test_names_are_as_short_as_they_can_be_told_apart() -> None:
    names = [
        "data.batch_size",
        "optimizer.lr",
        "scheduler.lr",
        "+learning_rate",
        "model.state",
        "a.b.c",
        "z.b.c",
        "seed",
    ]
    short = ["batch_size", "optimizer.lr", "scheduler.lr", "learning_rate", "model.state", "a.b.c", "z.b.c", "seed"]
    assert list(short_names(names, taken=["state"]).values()) == short


def test_numbers_stand_right_and_words_left() -> None:
    assert aligned([["a", "word"], ["1", "x"], ["100", ""]]) == "  a  word\n  1  x\n100"
