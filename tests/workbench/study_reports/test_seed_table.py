"""Mean and standard deviation over seeds."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sweep_maker import SweepMaker

from cnnlab.workbench.study_reports import seed_table
from cnnlab.workbench.study_reports.sweep_folder import Sweep, read
from cnnlab.workbench.study_reports.trial_table import param_table, trial_table


def of(sweep: Sweep) -> pd.DataFrame | None:
    return seed_table.seed_table(sweep, trial_table(sweep), param_table(sweep))


def speed(seconds: float, images: float) -> dict[str, float]:
    return {"train_seconds": seconds, "images_per_second": images}


def batch_sizes(folder: Path) -> Sweep:
    """The batch-size study: the learning rate follows from the two others and is no parameter."""
    maker = SweepMaker(folder)
    for batch_size in (32, 64, 512):
        for rule in ("fixed", "scaled"):
            for seed in (0, 1, 2):
                value = 0.9 + 0.01 * seed + batch_size / 10_000
                lr = 0.005 * (batch_size / 32 if rule == "scaled" else 1)
                params: dict[str, Any] = {"data.batch_size": batch_size, "+learning_rate": rule, "seed": seed}
                overrides = [f"{key}={value}" for key, value in params.items()] + [f"optimizer.lr={lr}", "test=false"]
                overrides.append(f"hydra.run.dir={seed}")
                maker.trial(params, value, overrides=overrides, metrics=speed(10.0 + 2 * seed, 100.0 * batch_size))
    return read(maker.finish())


def test_numbers_by_hand(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for seed, value, seconds in ((0, 0.90, 10.0), (1, 0.94, 20.0), (2, 0.92, 30.0)):
        maker.trial({"lr": 0.1, "seed": seed}, value, metrics=speed(seconds, 1000.0))
    maker.trial({"lr": 0.2, "seed": 0}, 0.80, metrics=speed(5.0, 1.0))
    maker.trial({"lr": 0.2, "seed": 1}, state="FAIL")
    maker.trial({"lr": 0.1, "seed": 3}, state="PRUNED", reports=[0.1])
    sweep = read(maker.finish())
    seeds = of(sweep)
    assert seeds is not None
    first, second = seeds.to_dict("records")
    assert (first["lr"], first["n"], first["seeds"]) == (0.1, 3, "0 1 2")
    assert first["value_mean"] == pytest.approx(0.92)
    assert first["value_sd"] == pytest.approx(0.02)  # sqrt((0.02² + 0.02² + 0) / 2)
    assert (first["train_seconds_mean"], first["train_seconds_sd"]) == pytest.approx((20.0, 10.0))
    assert (first["images_per_second_mean"], first["images_per_second_sd"]) == pytest.approx((1000.0, 0.0))
    assert (second["n"], second["value_mean"]) == (1, 0.8)
    assert math.isnan(second["value_sd"])
    rows = seed_table.seed_rows(sweep, seeds)
    assert rows[0] == ["lr", "n", "val/accuracy", "train seconds", "images/s"]
    assert rows[1] == ["0.1", "3", "0.920 ± 0.020", "20 ± 10", "1,000.0000 ± 0.0000"]
    assert rows[2][:4] == ["0.2", "1", "0.800", "5"]


def test_what_follows_from_the_parameters_is_shown_but_draws_no_line(tmp_path: Path) -> None:
    sweep = batch_sizes(tmp_path)
    seeds = of(sweep)
    assert seeds is not None
    assert seed_table.point_columns(seeds) == ["data.batch_size", "+learning_rate", "optimizer.lr"]
    assert len(seeds) == 6
    assert set(seeds["n"]) == {3}
    assert list(seeds["data.batch_size"]) == [32, 32, 64, 64, 512, 512]
    assert list(seeds["optimizer.lr"]) == [0.005, 0.005, 0.005, 0.01, 0.005, 0.08]
    assert seed_table.lines_over(seeds) == ("data.batch_size", ["+learning_rate"])
    assert seed_table.seed_rows(sweep, seeds)[0][:4] == ["batch_size", "learning_rate", "lr", "n"]


def test_seeds_that_are_overrides_only_count_too(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for seed in (0, 1):
        for lr in (0.1, 0.2):
            maker.trial({"lr": lr}, lr + seed, overrides=[f"lr={lr}", f"seed={seed}"])
    seeds = of(read(maker.finish()))
    assert seeds is not None
    assert list(seeds["value_mean"]) == pytest.approx([0.6, 0.7])


def test_what_a_branch_fixes_is_as_good_as_searched(tmp_path: Path) -> None:
    """At batch size 32 both rules are the same, so that the sweep fixes one and leaves nothing to search."""
    maker = SweepMaker(tmp_path)
    for seed in (0, 1):
        maker.trial({"bs": 32, "seed": seed}, 0.5, overrides=["bs=32", "+rule=fixed", f"seed={seed}"])
        for rule in ("fixed", "scaled"):
            maker.trial({"bs": 64, "+rule": rule, "seed": seed}, 0.6)
    sweep = read(maker.finish())
    seeds = of(sweep)
    assert seeds is not None
    assert seeds[["bs", "+rule"]].to_numpy().tolist() == [[32, "fixed"], [64, "fixed"], [64, "scaled"]]
    assert seed_table.lines_over(seeds) == ("bs", ["+rule"])


def test_a_seed_that_ran_twice_counts_once(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for seed, value in ((0, 0.1), (1, 0.4), (0, 0.2)):
        maker.trial({"seed": seed}, value)
    seeds = of(read(maker.finish()))
    assert seeds is not None
    assert (seeds.at[0, "n"], seeds.at[0, "value_mean"]) == (2, pytest.approx(0.3))


def test_folds_repeat_a_point_as_seeds_do(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for lr in (0.1, 0.2):
        for fold in (1, 0, 10):
            for seed in (0, 1):
                maker.trial({"lr": lr, "data.fold": fold, "seed": seed}, lr + fold / 100 + seed / 1000)
    sweep = read(maker.finish())
    table = of(sweep)
    assert table is not None
    first, second = table.to_dict("records")
    assert (first["n"], first["seeds"], first["folds"]) == (6, "0 1", "0 1 10")
    assert first["value_mean"] == pytest.approx(0.1 + 0.11 / 3 + 0.0005)
    assert second["value_sd"] == pytest.approx(
        pd.Series([0.2 + f / 100 + s for f in (0, 1, 10) for s in (0, 0.001)]).std()
    )
    assert seed_table.point_columns(table) == ["lr"]
    assert seed_table.seed_rows(sweep, table)[0][:3] == ["lr", "n", "val/accuracy"]


def test_folds_alone(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for lr in (0.1, 0.2):
        for fold in (0, 1):
            maker.trial({"lr": lr}, lr + fold, overrides=[f"lr={lr}", f"++data.fold={fold}", "++data.num_folds=2"])
    table = of(read(maker.finish()))
    assert table is not None
    assert list(table.columns[:3]) == ["lr", "n", "folds"]
    assert list(table["value_mean"]) == pytest.approx([0.6, 0.7])


def test_absent_and_null_are_two_points(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for seed in (0, 1):
        maker.trial({"seed": seed, "norm": None}, 0.5)
        maker.trial({"seed": seed}, 0.6)
    seeds = of(read(maker.finish()))
    assert seeds is not None
    assert sorted(seeds["value_mean"]) == pytest.approx([0.5, 0.6])


@pytest.mark.parametrize("seeds", [(0, 0), (None, None), (0, 1)])
def test_no_table_without_repeated_points(seeds: tuple[int | None, int | None], tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    for lr, seed in zip((0.1, 0.2), seeds, strict=True):
        maker.trial({"lr": lr} | ({} if seed is None else {"seed": seed}), 0.5)
    assert of(read(maker.finish())) is None


def test_no_table_while_nothing_is_complete(tmp_path: Path) -> None:
    maker = SweepMaker(tmp_path)
    assert of(read(maker.finish())) is None
    maker.trial({"seed": 1}, state="RUNNING")
    assert of(read(maker.finish())) is None
