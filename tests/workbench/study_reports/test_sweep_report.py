"""The whole report: what is printed, what is written, and that the study is left alone."""

import hashlib
import json
import logging
import math
import random
import re
import shutil
from pathlib import Path
from typing import Any

import matplotlib
import optuna
import pandas as pd
import pytest
from matplotlib import pyplot
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from PIL import Image
from sweep_maker import SweepMaker

from cnnlab.errors import UserError
from cnnlab.workbench.canvas import project_style
from cnnlab.workbench.study_reports import figures
from cnnlab.workbench.study_reports.figures.optuna_figures import parallel_coordinate
from cnnlab.workbench.study_reports.figures.timeline import timeline
from cnnlab.workbench.study_reports.figures.view import View
from cnnlab.workbench.study_reports.sweep_folder import read
from cnnlab.workbench.study_reports.sweep_report import write, write_trial
from cnnlab.workbench.study_reports.trial_table import trial_table

SPACE = {
    "model": CategoricalDistribution(("tinyvgg", "mlp")),
    "optimizer.lr": FloatDistribution(1e-4, 1e-1, log=True),
    "data.batch_size": CategoricalDistribution((32, 64, 128)),
    "model.norm": CategoricalDistribution(("batch", None, True, "a$b")),
    "mlp.depth": IntDistribution(1, 4),
}


def searched(folder: Path, num_trials: int = 30) -> SweepMaker:
    """A conditional space; every third trial pruned, one failed, one interrupted, two running."""
    dice = random.Random(0)
    maker = SweepMaker(folder)
    for number in range(num_trials):
        params: dict[str, Any] = {"model": dice.choice(["tinyvgg", "mlp"]), "optimizer.lr": 10 ** dice.uniform(-4, -1)}
        params["data.batch_size"] = dice.choice([32, 64, 128])
        if params["model"] == "tinyvgg":
            params["model.norm"] = dice.choice(["batch", None, True, "a$b"])
        else:
            params["mlp.depth"] = dice.randint(1, 4)
        value = 0.97 - 0.02 * abs(math.log10(params["optimizer.lr"]) + 2) + dice.gauss(0, 0.002)
        reports = [value - 0.1 / epoch**2 for epoch in range(1, 6)]
        given: dict[str, Any] = {"distributions": SPACE, "slot": number % 3, "seconds": dice.uniform(5, 15)}
        if number in (7, 8):
            maker.trial(params, state="FAIL", reason="x", interrupted=number == 8, **given)
        elif number >= num_trials - 2:
            maker.trial(params, state="RUNNING", reports=reports[:2], **given)
        elif number % 3 == 2:
            maker.trial(params, state="PRUNED", reports=reports[: dice.randint(1, 3)], **given)
        else:
            source = "defaults" if number == 0 else None
            maker.trial(params, max(reports), reports=reports, source=source, metrics={"epochs": 5}, **given)
    return maker


def is_drawn(path: Path) -> bool:
    """At least 600 pixels wide, white at the corner, and with ink of more than one colour."""
    with Image.open(path) as picture:
        image = picture.convert("RGB")
    corner = image.getpixel((image.width - 1, image.height - 1))
    return image.width >= 600 and corner == (255, 255, 255) and image.getcolors(maxcolors=20) is None


def test_everything_is_written_and_nothing_in_the_study_is_changed(tmp_path: Path) -> None:
    folder = searched(tmp_path / "study", 36).finish()
    settings, opened = dict(matplotlib.rcParams), pyplot.get_fignums()
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*") if path.is_file()}
    text = write(folder)
    assert all(hashlib.sha256(path.read_bytes()).digest() == digest for path, digest in before.items())
    new = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path not in before}
    names = ["optimization_history", "param_importances", "slices", "parallel_coordinate", "contour"]
    drawn = {f"figures/{name}.png" for name in [*names, "intermediate_values", "timeline"]}
    assert new == {"leaderboard.csv", "leaderboard.md", "report.html", *drawn}
    assert all(is_drawn(folder / name) for name in drawn)
    assert "Not drawn" not in text
    assert dict(matplotlib.rcParams) == settings
    assert pyplot.get_fignums() == opened


def test_the_printed_text(tmp_path: Path) -> None:
    maker = searched(tmp_path)
    text = write(maker.finish(), top=3, figures=False)
    lines = text.splitlines()
    assert (
        lines[0] == "Study tinyvgg (maximize val/accuracy): 18 complete, 8 pruned, 1 failed, 2 running, 1 interrupted"
    )
    assert [line.split()[0] for line in lines[2:6]] == ["rank", "1", "2", "3"]
    assert lines[6] == "3 of 29 trials; the rest is in leaderboard.md"
    best = maker.study.best_trial
    assert f"Best: trial {best.number}, val/accuracy {best.value:.2%}" in lines
    assert f"  reproduce  python train.py {' '.join(best.user_attrs['overrides'])}" in lines
    assert sum(line.startswith("  retrain") for line in lines) == 1
    assert lines[-1].startswith("Not written: best_experiment.yaml (")
    assert not (tmp_path / "figures").exists()


def test_a_recipe_comes_with_its_command(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    maker.trial({"optimizer.lr": 0.5}, 0.9)
    hydra_dir = tmp_path / "0/.hydra"
    hydra_dir.mkdir(parents=True)
    (hydra_dir / "config.yaml").write_text("optimizer: {lr: 0.5}")
    (hydra_dir / "hydra.yaml").write_text("hydra: {runtime: {choices: {model: tinyvgg}}}")
    text = write(maker.finish(), figures=False)
    assert (tmp_path / "best_experiment.yaml").read_text().endswith("\noptimizer:\n  lr: 0.5\n")
    assert f"cp {tmp_path}/best_experiment.yaml conf/experiment/tinyvgg_best.yaml" in text
    assert "python train.py experiment=tinyvgg_best" in text


def test_trial_folders_may_be_gone(tmp_path: Path) -> None:
    maker = searched(tmp_path)
    for path in tmp_path.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    assert "18 complete" in write(maker.finish(), figures=False)


def test_the_commands_are_those_of_the_best_trial_also_while_the_summary_is_a_moment_older(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    maker.trial({"a": 1}, 0.8)
    maker.finish()
    maker.trial({"a": 2}, 0.9)
    text = write(tmp_path, figures=False)
    assert "Best: trial 1" in text
    assert "  reproduce  python train.py a=2\n" in text


def test_any_trial_has_commands_and_a_recipe(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    maker.trial({"optimizer.lr": 0.5}, 0.9)
    maker.trial({"optimizer.lr": 0.25}, state="PRUNED", reports=[0.3, 0.2])
    hydra_dir = tmp_path / "1/.hydra"
    hydra_dir.mkdir(parents=True)
    (hydra_dir / "config.yaml").write_text("optimizer: {lr: 0.25}")
    (hydra_dir / "hydra.yaml").write_text("hydra: {runtime: {choices: {model: tinyvgg}}}")
    (tmp_path / "multirun.yaml").write_text("hydra: {sweeper: {retrain: [test=true, trainer.max_epochs=5]}}")
    text = write_trial(maker.finish(), 1)
    assert text.splitlines()[0] == "Trial 1, pruned, val/accuracy 30.00% at epoch 1"
    assert "  reproduce  python train.py optimizer.lr=0.25\n" in text
    assert "  retrain    python train.py optimizer.lr=0.25 test=true trainer.max_epochs=5\n" in text
    assert text.endswith("python train.py experiment=tinyvgg_trial_1")
    assert (
        (tmp_path / "trial_1_experiment.yaml")
        .read_text()
        .endswith("optimizer:\n  lr: 0.25\ntrainer:\n  max_epochs: 5\n")
    )
    with pytest.raises(UserError, match="has no trial 7: it has the trials 0 to 1"):
        write_trial(tmp_path, 7)


def test_the_mean_over_seeds_is_crowned_and_not_the_luckiest_seed(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for lr, values in ((0.1, (0.99, 0.80, 0.81)), (0.2, (0.92, 0.91, 0.93))):
        for seed, value in enumerate(values):
            maker.trial({"lr": lr, "seed": seed}, value)
    maker.trial({"lr": 0.3, "seed": 0}, state="PRUNED", reports=[0.999])
    text = write(maker.finish(), figures=False)
    assert "Best point: mean 92.00% of 3 runs, the first of them: trial 5, val/accuracy 93.00%" in text
    assert "  reproduce  python train.py lr=0.2 seed=2\n" in text
    table = pd.read_csv(tmp_path / "leaderboard.csv")
    assert list(table["trial"]) == [5, 3, 4, 0, 2, 1, 6]
    assert list(table["rank"]) == [1, 1, 1, 2, 2, 2, 3]
    assert list(table["mean"].dropna().round(4)) == [0.92] * 3 + [0.8667] * 3
    ranking = text.split("\n\n")[1].splitlines()
    assert ranking[1].split()[:5] == ["1", "5", "COMPLETE", "93.00%", "92.00%"]


@pytest.mark.usefixtures("white_figures")
def test_the_page_holds_everything_and_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path.parent)
    maker = SweepMaker(tmp_path, ["val/accuracy", "num_parameters"], ["maximize", "minimize"], name="a<b")
    for number, values in enumerate(([0.9, 70_000.0], [0.8, 20_000.0], [0.7, 30_000.0])):
        maker.trial({"units": number, "lr": 0.1 + number}, values)
    text = write(maker.finish())
    page = (tmp_path / "report.html").read_text()
    assert "report.html" in text
    assert f"python scripts/report.py {tmp_path.name} --trial" in page
    assert "<title>a&lt;b</title>" in page
    assert page.count('src="data:image/png;base64,') == len(list((tmp_path / "figures").iterdir()))
    assert not re.search(r"""(src|href)=["']?(http|//)|@import|url\(""", page)
    for number in (0, 1):
        assert f"<summary>Trial {number}: " in page
        assert f"python train.py units={number} lr=" in page
    assert "python train.py units=2" not in page, "neither is it Pareto-optimal"
    assert "Also Pareto-optimal" in text
    assert '<td class="number" data-value="70000.0">70,000</td>' in page


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize("states", [[], ["RUNNING", "WAITING"]])
def test_nothing_has_finished(states: list[str], tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for state in states:
        maker.trial({"a": 1}, state=state)
    text = write(maker.finish())
    assert "No trial has finished yet." in text
    assert "Best" not in text
    assert (tmp_path / "figures/timeline.png").exists() == bool(states)
    assert len(pd.read_csv(tmp_path / "leaderboard.csv")) == len(states)


def test_several_objectives(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path, ["val/accuracy", "train_seconds"], ["maximize", "minimize"])
    dice = random.Random(0)
    for _ in range(12):
        units = dice.randint(2, 64)
        maker.trial({"units": units, "lr": dice.uniform(0.01, 1)}, [0.9 + units / 1000, units * dice.uniform(0.5, 1.5)])
    text = write(maker.finish())
    assert "(maximize val/accuracy, minimize train_seconds)" in text
    assert "* Pareto-optimal" in text
    for name in ("pareto_front", "optimization_history_val_accuracy", "slices_train_seconds", "contour_train_seconds"):
        assert is_drawn(tmp_path / f"figures/{name}.png"), name


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize("num_objectives", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_values_that_are_not_finite_are_left_out_of_the_figures(
    num_objectives: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does Optuna log a line for each of them and for the copies of the study that it draws."""
    monkeypatch.setattr(optuna.logging.get_logger("optuna"), "handlers", [caplog.handler])
    maker = SweepMaker(tmp_path, [f"m{i}" for i in range(num_objectives)], ["maximize"] * num_objectives)
    dice = random.Random(0)
    for number in range(10):
        values = [math.inf if number == 3 else dice.random(), *(dice.random() for _ in range(num_objectives - 1))]
        maker.trial({"units": dice.randint(2, 64), "lr": dice.uniform(0.01, 1)}, values)
    text = write(maker.finish())
    assert "Error" not in text
    assert "9 complete trials say too little about 2 parameters: 20 are needed" in text
    assert (tmp_path / "figures/pareto_front.png").is_file()
    assert not caplog.records


@pytest.mark.usefixtures("white_figures")
def test_a_study_of_one_parameter(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for number in range(6):
        maker.trial({"lr": 0.1 + number}, 0.5 + number)
    text = write(maker.finish())
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"optimization_history", "slices", "timeline"}
    assert "Not drawn: param_importances, parallel_coordinate, contour (fewer than two parameters vary)\n" in text


@pytest.mark.usefixtures("white_figures")
def test_all_trials_were_pruned(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for number in range(3):
        maker.trial({"lr": 0.1 + number, "units": number}, state="PRUNED", reports=[0.1, 0.2])
    text = write(maker.finish())
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"intermediate_values", "timeline"}
    assert "Error" not in text


def test_panels_of_slices_stand_in_rows_of_four(tmp_path: Path) -> None:
    """Optuna draws one long row, which no page shows."""
    maker, dice = SweepMaker(tmp_path), random.Random(0)
    for _ in range(6):
        maker.trial({f"p{i}": dice.uniform(0.1, 1) for i in range(9)}, dice.random())
    sweep = read(maker.finish())
    with project_style():
        drawn = figures.slices(View(sweep, trial_table(sweep)))
        drawn.draw_without_rendering()
    *panels, _ = drawn.axes
    assert len(panels) == 9
    assert [len({round(getattr(axes.get_position(), end), 2) for axes in panels}) for end in ("x0", "y0")] == [4, 3]


def test_choices_that_are_numbers_are_drawn_without_a_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    maker = SweepMaker(tmp_path)
    for number in range(6):
        params = {"lr": 0.1 + number, "stride": 1 + number % 2}
        maker.trial(params, 0.5 + number / 10, distributions={"stride": CategoricalDistribution((1, 2))})
    sweep = read(maker.finish())
    with caplog.at_level(logging.INFO), project_style():
        figures.slices(View(sweep, trial_table(sweep))).draw_without_rendering()
    assert caplog.messages == []


def test_a_study_over_seeds(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for batch_size in (32, 64, 128, 256):
        for seed in range(3):
            metrics = {"train_seconds": 100 / batch_size + seed, "images_per_second": 1000.0 + batch_size}
            value = 0.9 + seed / 100 - batch_size / 10_000
            maker.trial({"data.batch_size": batch_size, "seed": seed}, value, metrics=metrics)
    text = write(maker.finish())
    assert "Over seeds, mean ± standard deviation\nbatch_size  n   val/accuracy" in text
    table = pd.read_csv(tmp_path / "seeds.csv")
    assert list(table["data.batch_size"]) == [32, 64, 128, 256]
    assert list(table["value_mean"]) == pytest.approx([0.9068, 0.9036, 0.8972, 0.8844])
    assert list(table["value_sd"]) == pytest.approx([0.01] * 4)
    assert (tmp_path / "seeds.md").read_text().splitlines()[2].startswith("| 32 | 3 | 0.907 ± 0.010 |")
    assert is_drawn(tmp_path / "figures/seeds.png")


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0.5], {"optimization_history", "timeline"}),
        ([0.5] * 6, {"optimization_history", "timeline", "slices", "parallel_coordinate"}),
        ([0.5, math.inf, -math.inf], {"optimization_history", "timeline"}),
    ],
)
def test_what_cannot_be_drawn_is_left_out_with_the_reason(values: list[float], drawn: set[str], tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for number, value in enumerate(values):
        maker.trial({"a": number, "b": 0.1 + number}, value)
    text = write(maker.finish())
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == drawn
    assert "Not drawn: " in text
    assert "Error" not in text


@pytest.mark.usefixtures("white_figures")
def test_a_figure_that_fails_costs_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(view: object) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr(figures, "timeline", broken)
    text = write(searched(tmp_path, 12).finish())
    assert "Not drawn: broken (ZeroDivisionError: by zero)" in text
    assert (tmp_path / "figures/slices.png").exists()


def test_words_of_figures_are_readable_and_apart(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path, ["val/loss"], ["minimize"])
    for number in range(9):
        maker.trial({"a": number, "b": 9 - number}, 10.0 ** (number / 2 - 2))
    sweep = read(maker.finish())
    view = View(sweep, trial_table(sweep))
    with project_style():
        lines, times = parallel_coordinate(view), timeline(view)
        title = times.suptitle("the study", x=0.01, ha="left")
        times.canvas.draw()
        lines.canvas.draw()
    assert [text.get_text() for text in lines.axes[1].get_yticklabels()] == ["0.01", "0.1", "1", "10", "100"]
    assert not times.legends[0].get_window_extent().overlaps(title.get_window_extent())


@pytest.mark.usefixtures("white_figures")
def test_a_metric_without_a_name_and_choices_that_terminals_obey(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path, metrics=["value 0"])
    maker.trial({"a": "\x1b[31mred"}, 0.25, distributions={"a": CategoricalDistribution(("\x1b[31mred", "b"))})
    text = write(maker.finish(), figures=True)
    assert "searched   a=\\x1b[31mred" in text
    assert "<b>0.2500</b><span>best value 0</span>" in (tmp_path / "report.html").read_text()


def test_names_that_fonts_and_markup_stumble_over(tmp_path: Path) -> None:
    choices = ("模型", "$x_$", "<b>|", "", *(f"a rather long choice number {i}" for i in range(20)))
    maker = SweepMaker(tmp_path, name="研究/1")
    for number, choice in enumerate(choices):
        params = {"$m^": choice, "长": 0.1 + number}
        maker.trial(params, 0.5 + number / 100, distributions={"$m^": CategoricalDistribution(choices)})
    text = write(maker.finish())
    assert text.count("Not drawn") == 1  # no intermediate values
    assert (tmp_path / "figures/param_importances.png").is_file()
    assert is_drawn(tmp_path / "figures/slices.png")


def test_the_same_study_gives_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_OF_EACH_OBJECTIVE", (figures.slices,))
    folder = searched(tmp_path, 12).finish()
    write(folder)
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == first


def test_a_retired_summary_with_other_keys_is_fine(tmp_path: Path) -> None:
    """hydra-optuna-sweeper leaves only these three beside a journal."""
    maker = searched(tmp_path, 6)
    (tmp_path / "optimization_results.yaml").write_text(
        json.dumps({"name": "optuna", "best_params": {}, "best_value": 1})
    )
    assert maker.name in write(tmp_path, figures=False)
