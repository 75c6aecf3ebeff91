"""Runs side by side: which of them repeat each other, what tells the others apart, and the numbers of each row."""

import copy
import io
import json
import math
import os
import statistics
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from cnnlab.errors import UserError
from cnnlab.workbench.run_reports.comparison import panels, text
from cnnlab.workbench.run_reports.comparison.compare import Comparison, compare

CONFIG: dict[str, Any] = {
    "seed": 0,
    "monitor": "val/accuracy",
    "mode": "max",
    "test": True,
    "resume": None,
    "model": {"_target_": "some.package.LeNet5", "kernel_size": 5, "activation": "tanh"},
    "data": {"_target_": "some.package.MNIST", "root": None, "batch_size": 32, "train_size": None, "device": "auto"},
    "optimizer": {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.001},
    "scheduler": {"_target_": "torch.optim.OneCycleLR", "max_lr": "${optimizer.lr}"},
    "callbacks": {"progress": {"_target_": "some.Progress"}},
    "logger": {"tensorboard": {"_target_": "some.Logger"}},
    "trainer": {"accelerator": "auto", "max_epochs": 5, "precision": "auto", "num_threads": None},
}
METRICS = {
    "dataset": "mnist",
    "model": "LeNet5",
    "val/accuracy": 0.9,
    "epochs": 5,
    "train_seconds": 10.0,
    "images_per_second": 1000.0,
    "test/accuracy": 0.8,
    "num_parameters": 61_706,
    "batch_size": 32,
    "seed": 0,
    "device": "CPU, 1 thread",
    "precision": "32-true",
}


def make(
    folder: Path,
    settings: dict[str, Any] | None = None,
    *,
    checksums: str = "1",
    ago: float = 0,
    gone: str = "",
    **metrics: Any,
) -> Path:
    """A finished run by hand: `settings` by dotted key; metrics by name, `val_accuracy` for val/accuracy.

    `gone` names one of METRICS to leave out, `ago` says how many seconds ago the run was finished.
    """
    config = copy.deepcopy(CONFIG)
    for key, value in (settings or {}).items():
        node = config
        *groups, name = key.split(".")
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = value
    given = {name.replace("val_", "val/").replace("test_", "test/"): value for name, value in metrics.items()}
    numbers = {**METRICS, "seed": config["seed"], "batch_size": config["data"]["batch_size"], **given}
    numbers.pop(gone, None)
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    (folder / "environment.json").write_text(json.dumps({"data_checksums": {"file": checksums}}), encoding="utf-8")
    (folder / "metrics.json").write_text(json.dumps(numbers), encoding="utf-8")
    then = 1e9 - ago
    os.utime(folder / "metrics.json", (then, then))
    return folder


def test_folds_are_one_row_that_is_not_the_row_of_the_ordinary_split(tmp_path: Path) -> None:
    for fold, seed, value in ((1, 10, 0.92), (1, 9, 0.94), (0, 9, 0.90)):
        settings = {"seed": seed, "data.fold": fold, "data.num_folds": 2}
        make(tmp_path / f"{fold}-{seed}", settings, val_accuracy=value)
    make(tmp_path / "new", {"data.fold": None, "data.num_folds": 10}, val_accuracy=0.8)
    make(tmp_path / "old", {"seed": 1}, val_accuracy=0.7)
    compared = compare([tmp_path])
    folds, ordinary = compared.table.to_dict("records")
    assert (folds["n"], folds["seeds"], folds["folds"]) == (3, "9 10", "0 1")
    assert folds["val_mean"] == pytest.approx(0.92)
    assert [Path(run).name for run in folds["runs"].split("; ")] == ["0-9", "1-9", "1-10"]
    assert (ordinary["n"], ordinary["seeds"]) == (2, "0 1")
    assert compared.choices == ["data.num_folds"]
    assert "mean ± standard deviation of n runs that differ only in their seed or fold" in text.notes(compared)


def by_name(text: list[list[str]]) -> list[dict[str, str]]:
    return [dict(zip(text[0], row, strict=True)) for row in text[1:]]


def cells(compared: Comparison) -> list[dict[str, str]]:
    return by_name(text.cells(compared))


def test_seeds_are_one_row(tmp_path: Path) -> None:
    values = [0.91, 0.92, 0.96]
    for seed, value in enumerate(values):
        make(
            tmp_path / str(seed), {"seed": seed}, val_accuracy=value, test_accuracy=value - 0.1, train_seconds=seed + 1
        )
    for seed, size in ((0, 1_000_000), (2, 2_000_000)):
        (tmp_path / f"{seed}/checkpoints").mkdir()
        (tmp_path / f"{seed}/checkpoints/best.ckpt").write_bytes(b"x" * size)
    compared = compare([tmp_path])
    (row,) = compared.table.to_dict("records")
    assert (row["row"], row["model"], row["data"], row["metric"]) == (1, "LeNet5", "mnist", "accuracy")
    assert (row["n"], row["seeds"], row["test_n"]) == (3, "0 1 2", 3)
    assert row["val_mean"] == pytest.approx(statistics.mean(values))
    assert row["val_sd"] == pytest.approx(statistics.stdev(values))
    assert row["test_mean"] == pytest.approx(statistics.mean(values) - 0.1)
    assert (row["train_seconds_mean"], row["train_seconds_sd"]) == (2.0, 1.0)
    assert (row["images_per_second_mean"], row["images_per_second_sd"]) == (1000.0, 0.0)
    assert (row["parameters"], row["epochs"], row["batch_size"]) == (61_706, 5, 32)
    assert row["checkpoint_bytes"] == 1_500_000
    assert row["device"] == "CPU, 1 thread, 32-true"
    assert row["runs"] == "; ".join(str(tmp_path / str(seed)) for seed in range(3))
    assert math.isnan(row["multiply_adds"])
    assert compared.choices == []
    (shown,) = cells(compared)
    assert shown["val accuracy %"] == "93.00 ± 2.65"
    assert (shown["parameters"], shown["checkpoint MB"]) == ("61,706", "1.5")
    assert "device" not in shown
    assert text.notes(compared) == ["mean ± standard deviation of n runs that differ only in their seed"]


@pytest.mark.parametrize(
    "key",
    [
        *("trainer.num_threads", "trainer.accelerator", "trainer.precision", "data.root", "data.device", "logger"),
        *("test", "resume", "init_from", "callbacks.preview", "callbacks.trial_report", "data.eval_batch_size"),
    ],
)
def test_what_is_no_choice_parts_no_rows(key: str, tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", {key: "another", "seed": 1})
    assert compare([tmp_path]).table["n"].tolist() == [2]


@pytest.mark.parametrize(
    ("settings", "metrics"),
    [
        ({"optimizer.lr": 0.01}, {}),
        ({"optimizer._target_": "torch.optim.SGD"}, {}),
        ({"model.kernel_size": 3}, {}),
        ({"data.batch_size": 64}, {}),
        ({"data.train_size": 1000}, {}),
        ({"trainer.max_epochs": 10}, {}),
        ({"callbacks.early_stopping": {"patience": 3}}, {}),
        ({"monitor": "val/loss", "mode": "min"}, {}),
        ({}, {"device": "GPU"}),
        ({}, {"precision": "bf16-mixed"}),
        ({}, {"dataset": "mnist-5k"}),
        ({}, {"checksums": "2"}),
    ],
    ids=str,
)
def test_what_is_a_choice_parts_rows(settings: dict[str, Any], metrics: dict[str, Any], tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", {**settings, "seed": 1}, **metrics)
    assert compare([tmp_path]).table["n"].tolist() == [1, 1]


def test_the_same_number_written_in_two_ways_is_one(tmp_path: Path) -> None:
    make(tmp_path / "a", {"optimizer.lr": 1})
    make(tmp_path / "b", {"optimizer.lr": 1.0, "seed": 1})
    assert compare([tmp_path]).table["n"].tolist() == [2]


def test_a_seed_counts_once_with_its_later_run(tmp_path: Path) -> None:
    make(tmp_path / "b", ago=100, val_accuracy=0.1)
    make(tmp_path / "c", ago=10, val_accuracy=0.7)
    make(tmp_path / "a", ago=50, val_accuracy=0.2)
    compared = compare([tmp_path])
    (row,) = compared.table.to_dict("records")
    assert (row["n"], row["val_mean"], row["runs"]) == (1, 0.7, str(tmp_path / "c"))
    assert math.isnan(row["val_sd"])
    assert text.notes(compared) == ["runs not counted, for a later one repeats their seed: 2"]
    assert cells(compared)[0]["val accuracy %"] == "70.00"


def test_the_best_on_validation_stands_first_whatever_its_test(tmp_path: Path) -> None:
    for name, val, test in (("a", 0.8, 0.99), ("b", 0.9, 0.5), ("c", None, 0.7), ("d", 0.85, 0.6)):
        make(tmp_path / name, {"model._target_": name}, model=name, val_accuracy=val, test_accuracy=test)
    table = compare([tmp_path]).table
    assert table["model"].tolist() == ["b", "d", "a", "c"]
    assert table["row"].tolist() == [1, 2, 3, 4]


def test_less_is_better_where_the_config_says_so(tmp_path: Path) -> None:
    for name, mse in (("a", 0.5), ("b", 0.25), ("c", 2.0)):
        settings = {"monitor": "val/mse", "mode": "min", "model._target_": name}
        make(tmp_path / name, settings, gone="val/accuracy", model=name, val_mse=mse, test_mse=mse / 2)
    compared = compare([tmp_path])
    assert compared.table["model"].tolist() == ["b", "a", "c"]
    assert [row["val mse"] for row in cells(compared)] == ["0.2500", "0.5000", "2.0000"]
    (panel,) = panels.panels(compared)
    assert (panel.score, panel.maximize, panel.is_accuracy) == ("test mse", False, False)


def test_the_name_of_the_metric_says_what_is_better_where_the_config_does_not(tmp_path: Path) -> None:
    for name, mode, mse in (("a", None, 0.5), ("b", None, 0.25), ("b2", "min", 0.75)):
        settings = {"monitor": "val/mse", "mode": mode, "model._target_": name[0], "seed": len(name)}
        make(tmp_path / name, settings, gone="val/accuracy", model=name[0], val_mse=mse, test_mse=mse)
    table = compare([tmp_path]).table
    assert sorted(zip(table["model"], table["mode"], table["n"], strict=True)) == [("a", "min", 1), ("b", "min", 2)]


def test_more_accuracy_is_better_also_for_runs_that_minimised_their_loss(tmp_path: Path) -> None:
    for name, accuracy in (("a", 0.5), ("b", 0.7)):
        make(tmp_path / name, {"monitor": "val/loss", "mode": "min"}, model=name, val_accuracy=accuracy)
    compared = compare([tmp_path])
    assert compared.table["model"].tolist() == ["b", "a"]
    assert compared.table["mode"].tolist() == ["max", "max"]


def test_data_sets_and_metrics_stand_apart(tmp_path: Path) -> None:
    make(tmp_path / "a", val_accuracy=0.5)
    make(tmp_path / "b", dataset="mnist-5k", val_accuracy=0.99)
    make(tmp_path / "c", {"optimizer.lr": 1.0}, val_accuracy=0.7)
    make(tmp_path / "d", {"monitor": "val/mse", "mode": "min"}, gone="val/accuracy", val_mse=0.1)
    compared = compare([tmp_path])
    assert compared.table["data"].tolist() == ["mnist", "mnist", "mnist", "mnist-5k"]
    assert [row["metric"] for row in cells(compared)] == ["accuracy %", "accuracy %", "mse", "accuracy %"]
    assert [row["val"] for row in cells(compared)] == ["70.00", "50.00", "0.1000", "99.00"]
    drawn = panels.panels(compared)
    assert [panel.title for panel in drawn] == ["mnist, accuracy", "mnist, mse", "mnist-5k, accuracy"]
    assert [[point.number for point in panel.points] for panel in drawn] == [[1, 2], [3], [4]]


def test_data_of_one_name_and_other_content_get_names_of_their_own(tmp_path: Path) -> None:
    make(tmp_path / "a", dataset="photos", checksums="1")
    make(tmp_path / "b", dataset="photos", checksums="2")
    make(tmp_path / "c")
    names = compare([tmp_path]).table["data"].tolist()
    assert names[0] == "mnist"
    assert len(set(names)) == 3
    assert all(name.startswith("photos ") and len(name) == len("photos 123456") for name in names[1:])


def test_columns_for_what_differs(tmp_path: Path) -> None:
    for i, (lr, kernel) in enumerate([(0.1, 3), (0.01, 3), (0.001, 5)]):
        make(tmp_path / str(i), {"optimizer.lr": lr, "model.kernel_size": kernel}, val_accuracy=0.9 - i / 10)
    make(tmp_path / "other", {"model": {"_target_": "a.MLP", "hidden": 256}}, model="MLP", val_accuracy=0.1)
    compared = compare([tmp_path])
    assert compared.choices == ["optimizer.lr", "model.kernel_size"]  # what tells most apart first; not hidden: one MLP
    rows = cells(compared)
    assert [row["lr"] for row in rows] == ["0.1", "0.01", "0.001", "0.001"]
    assert [row["kernel_size"] for row in rows] == ["3", "3", "5", ""]
    (panel,) = panels.panels(compared)
    labels = [point.label for point in panel.points]
    assert labels == [
        "LeNet5, lr 0.1, kernel_size 3",
        "LeNet5, lr 0.01, kernel_size 3",
        "LeNet5, lr 0.001, kernel_size 5",
        "MLP, lr 0.001",
    ]


def test_another_class_is_a_choice_by_the_name_of_its_group(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", {"optimizer._target_": "torch.optim.SGD"}, val_accuracy=0.8)
    assert [row["optimizer"] for row in cells(compare([tmp_path]))] == ["AdamW", "SGD"]


def test_augmentations_of_one_class_go_by_the_names_that_were_typed(tmp_path: Path) -> None:
    augment = {"augment._target_": "cnnlab.data.augment_photo.Photo"}
    for name, crop, accuracy in (("flip", 1.0, 0.8), ("photo", 0.35, 0.9)):
        run = make(tmp_path / name, augment | {"augment.crop": crop}, val_accuracy=accuracy)
        (run / ".hydra/hydra.yaml").write_text(json.dumps({"hydra": {"runtime": {"choices": {"augment": name}}}}))
    assert [row["augment"] for row in cells(compare([tmp_path]))] == ["photo", "flip"]
    (tmp_path / "photo/.hydra/hydra.yaml").write_text("hydra: damaged")
    assert [row["augment"] for row in cells(compare([tmp_path]))] == ["Photo", "flip"]


def test_settings_of_other_data_are_no_columns(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", {"data._target_": "a.Npz", "data.channels": "last", "data.train_size": 10}, dataset="scans")
    assert compare([tmp_path]).choices == []


def test_a_value_that_follows_from_another_is_no_choice(tmp_path: Path) -> None:
    make(tmp_path / "a", {"scheduler.max_lr": "${optimizer.lr}", "optimizer.lr": 0.1})
    make(tmp_path / "b", {"optimizer.lr": 0.2})
    assert compare([tmp_path]).choices == ["optimizer.lr"]


def test_four_columns_and_the_rest_in_the_csv(tmp_path: Path) -> None:
    for i in range(3):
        make(tmp_path / str(i), {f"model.s{j}": i for j in range(7)}, val_accuracy=0.9 - i / 100)
    compared = compare([tmp_path])
    assert compared.shown_choices == [f"model.s{j}" for j in range(4)]
    assert compared.hidden_choices == [f"model.s{j}" for j in range(4, 7)]
    assert text.notes(compared) == [
        "rows also differ in model.s4, model.s5, model.s6: columns of comparison.csv",
    ]
    assert {f"model.s{j}" for j in range(7)} <= set(compared.table)


def test_batch_size_and_epochs_have_a_column_anyway(tmp_path: Path) -> None:
    make(tmp_path / "a", {"data.batch_size": 64, "trainer.max_epochs": 7}, epochs=7, val_accuracy=0.95)
    make(tmp_path / "b")
    compared = compare([tmp_path])
    assert compared.shown_choices == []
    assert [(row["batch"], row["epochs"]) for row in cells(compared)] == [("64", "7"), ("32", "5")]
    (panel,) = panels.panels(compared)
    assert [point.label for point in panel.points] == [
        "LeNet5, max_epochs 7, batch_size 64",
        "LeNet5, max_epochs 5, batch_size 32",
    ]
    make(tmp_path / "early", {"trainer.max_epochs": 100}, epochs=9, val_accuracy=0.1)  # stopped early
    assert compare([tmp_path]).shown_choices == ["trainer.max_epochs"]


def test_devices_are_shown_where_they_differ(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", device="GPU", precision="bf16-mixed", val_accuracy=0.8)
    compared = compare([tmp_path])
    assert [row["device"] for row in cells(compared)] == ["CPU, 1 thread, 32-true", "GPU, bf16-mixed"]
    assert text.notes(compared) == ["train s and images/s are not comparable across devices and precisions"]


def test_networks_of_a_zoo_go_by_their_own_names(tmp_path: Path) -> None:
    for i, name in enumerate(("resnet18", "vgg11")):
        make(tmp_path / str(i), {"model": {"_target_": "a.Torchvision", "name": name}}, model="Torchvision")
    assert sorted(compare([tmp_path]).table["model"]) == ["resnet18", "vgg11"]


def test_runs_without_a_test(tmp_path: Path) -> None:
    make(tmp_path / "0", test_accuracy=0.75)
    make(tmp_path / "1", {"seed": 1, "test": False}, gone="test/accuracy")
    (row,) = cells(compare([tmp_path]))
    assert row["test accuracy %"] == "75.00 (n=1)"
    make(tmp_path / "2", {"optimizer.lr": 9}, gone="test/accuracy", val_accuracy=0.1)
    compared = compare([tmp_path])
    assert [row["test accuracy %"] for row in cells(compared)] == ["75.00 (n=1)", ""]
    (panel,) = panels.panels(compared)
    assert panel.score == "validation accuracy"
    assert [point.score for point in panel.points] == [0.9, 0.1]
    assert panels.panels(compare([tmp_path / "0"]))[0].score == "test accuracy"
    assert "test accuracy %" not in cells(compare([tmp_path / "2"]))[0]


def test_what_is_left_out_is_counted_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for i in range(7):
        (make(Path(f"runs/s{i}")) / "metrics.json").unlink()
    failed = make(Path("runs/failed"))
    (failed / "metrics.json").rename(failed / "error.txt")
    (make(Path("runs/broken")) / "metrics.json").write_text("{", encoding="utf-8")
    (make(Path("runs/trial")) / "trial.json").write_text('{"state": "PRUNED"}', encoding="utf-8")
    with pytest.raises(UserError, match=r"^no finished runs in runs: 1 failed \(runs/failed\); 7 interrupted"):
        compare([Path("runs")])
    (make(Path("runs/fine")) / "trial.json").write_text('{"state": "COMPLETE"}', encoding="utf-8")
    compared = compare([Path("runs")])
    assert compared.table["runs"].tolist() == [str(Path("runs/fine"))]
    (note,) = text.notes(compared)
    assert note == (
        "left out: 1 failed (runs/failed); 7 interrupted (runs/s0, runs/s1, runs/s2, runs/s3, runs/s4 and 2 more);"
        " 1 pruned (runs/trial); 1 unreadable (runs/broken: cannot read metrics.json)"
    )


def test_no_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished runs in .*: python train.py makes one"):
        compare([tmp_path])
    (tmp_path / "multiruns").mkdir()
    with pytest.raises(UserError, match=r"no folder .*multirun; did you mean multiruns\?"):
        compare([tmp_path / "multirun"])


def test_damaged_numbers_stay_empty(tmp_path: Path) -> None:
    nothing = {"num_parameters": "x", "train_seconds": None, "images_per_second": [1], "epochs": True, "seed": None}
    make(tmp_path / "a", device=3, val_accuracy="high", **nothing)
    compared = compare([tmp_path])
    (row,) = cells(compared)
    assert (row["parameters"], row["train s"], row["images/s"], row["val accuracy %"]) == ("", "", "", "")
    assert compared.table["seeds"].tolist() == ["null"]
    assert text.as_text(compared)


def test_the_seed_of_the_config_counts_where_the_metrics_have_none(tmp_path: Path) -> None:
    for seed in range(2):
        make(tmp_path / str(seed), {"seed": seed}, gone="seed")
    assert compare([tmp_path]).table["seeds"].tolist() == ["0 1"]


def test_csv_and_markdown(tmp_path: Path) -> None:
    make(tmp_path / "a, b|c", {"model.note": "x|y"}, val_accuracy=0.987654)
    make(tmp_path / "d", {"model.note": "z"}, val_accuracy=0.5)
    compared = compare([tmp_path])
    read = pd.read_csv(io.StringIO(text.as_csv(compared)))
    assert read["val_mean"].tolist() == [0.987654, 0.5]
    assert read["runs"].tolist() == compared.table["runs"].tolist()
    assert read["val_sd"].isna().all()
    written = text.as_markdown(compared).splitlines()
    assert written[0].startswith("| # | model | data | note | parameters |")
    assert "x\\|y" in written[2]
    assert len(written) == 4


def test_figures(tmp_path: Path) -> None:
    make(tmp_path / "a")
    drawn, why_not = panels.figures(compare([tmp_path]))
    assert list(drawn) == ["comparison_accuracy.png"]
    assert len(why_not) == 2
    make(tmp_path / "b", {"optimizer.lr": 0.1}, num_parameters=9, images_per_second=7.0)
    drawn, why_not = panels.figures(compare([tmp_path]))
    assert list(drawn) == ["comparison_accuracy.png", "comparison_speed.png", "comparison_parameters.png"]
    assert why_not == []
