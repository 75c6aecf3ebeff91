"""The end of a run: the score first, its change since the last run on the same data, and what one does next."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from cnnlab.runs.end_table import end_table

METRICS = {"dataset": "mnist", "test/accuracy": 0.975, "test/loss": 0.1, "val/accuracy": 0.96, "best_epoch": 2}
METRICS |= {"epochs": 3, "num_parameters": 7740, "train_seconds": 1.0, "images_per_second": 10.0, "batch_size": 32}
METRICS |= {"device": "CPU", "precision": "32-true"}
CONFIG = {
    "monitor": "val/accuracy",
    "mode": None,
    "model": {"_target_": "cnnlab.models.tinyvgg.TinyVGG", "hidden_units": 10},
    "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.01},
    "callbacks": {"checkpoint": {"monitor": "${monitor}"}},
    "data": {"_target_": "cnnlab.data.mnist.MNIST", "root": "here"},
}


def finished_run(folder: Path, age: int, changes: dict[str, Any], **metrics: Any) -> DictConfig:
    """Write what a finished run leaves behind, and return its config."""
    (folder / ".hydra").mkdir(parents=True)
    config = OmegaConf.create(CONFIG)
    for key, value in changes.items():
        OmegaConf.update(config, key, value)
    OmegaConf.save(config, folder / ".hydra/config.yaml")
    (folder / ".hydra/overrides.yaml").write_text("['++data.batch_size=64', model.hidden_units=10]")
    (folder / "environment.json").write_text(json.dumps({"data_checksums": {"a": "b"}, "samples": "digits"}))
    (folder / "metrics.json").write_text(json.dumps(METRICS | {key.replace("_", "/"): v for key, v in metrics.items()}))
    os.utime(folder / "metrics.json", (age, age))
    return config


def row(table: str, label: str) -> str:
    """Return a row of the table, with the lines that continue it."""
    lines = table.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"  {label} "))
    rest = next(i for i, line in enumerate(lines[start + 1 :]) if not line.startswith(" " * 15))
    return " ".join(line[15:] for line in lines[start : start + 1 + rest])


def test_every_number_of_a_split_comes_first(tmp_path: Path) -> None:
    metrics = METRICS | {"val/mse": 0.25, "val/mae": 12345.6, "val/none": None}
    lines = end_table(metrics, tmp_path, OmegaConf.create(CONFIG)).splitlines()
    assert lines[0] == "  test         97.50% accuracy, loss 0.1000"
    assert lines[1] == "  val          96.00% accuracy, mse 0.2500, mae 12,346"
    assert not any(line.startswith("  change") for line in lines), "there is no earlier run"


def test_whether_a_batch_was_learned_is_answered_first(tmp_path: Path) -> None:
    metrics = METRICS | {"train/accuracy": 0.5}
    config = OmegaConf.create(CONFIG | {"monitor": "train/accuracy"})
    yes = end_table(metrics | {"learnt_after": 11}, tmp_path, config).splitlines()[0]
    assert yes == "  learned      yes: the batch of 32 is learned by heart after 11 epochs"
    no = row(end_table(metrics | {"learnt_after": None}, tmp_path, config), "learned")
    assert no.startswith("NO: the batch of 32 is not learned after 3 epochs, 50.00% accuracy; check ")


@pytest.mark.parametrize(
    ("changes", "accuracy", "expected"),
    [
        ({"model.hidden_units": 32}, 0.968, "+0.80 points: model.hidden_units 10 → 32 (against before)"),
        ({"model._target_": "cnnlab.models.linear.Linear"}, 0.9, "-6.00 points: model TinyVGG → Linear (against"),
        ({"data.root": "elsewhere", "optimizer.lr": 0.001}, 0.96, "+0.00 points: optimizer.lr 0.01 → 0.001 (against"),
        ({"data.root": "elsewhere"}, 0.96, "+0.00 points: the same settings (against before)"),
        ({"callbacks.checkpoint.monitor": "val/accuracy"}, 0.96, "+0.00 points: the same settings (against before)"),
    ],
)
def test_the_change_since_the_last_run_names_the_settings(
    changes: dict[str, Any], accuracy: float, expected: str, tmp_path: Path
) -> None:
    finished_run(tmp_path / "long_before", 1, {}, val_accuracy=0.1)
    finished_run(tmp_path / "before", 2, {})
    finished_run(tmp_path / "other_data", 3, {}, dataset="photos")
    finished_run(tmp_path / "without_score", 4, {}, val_accuracy=None)
    config = finished_run(tmp_path / "now", 5, changes)
    table = end_table(METRICS | {"val/accuracy": accuracy}, tmp_path / "now", config)
    assert row(table, "change").startswith(expected)


def test_another_class_has_the_name_that_was_typed(tmp_path: Path) -> None:
    finished_run(tmp_path / "before", 1, {})
    config = finished_run(tmp_path / "now", 2, {"optimizer._target_": "torch.optim.SGD"})
    for run, optimizer in {"before": "adamw", "now": "sgd"}.items():
        content = {"hydra": {"runtime": {"choices": {"optimizer": optimizer, "model": "tinyvgg"}}}}
        (tmp_path / run / ".hydra/hydra.yaml").write_text(json.dumps(content))
    table = end_table(METRICS, tmp_path / "now", config)
    assert row(table, "change") == "+0.00 points: optimizer adamw → sgd (against before)"


def test_augmentations_of_one_class_have_the_names_that_were_typed(tmp_path: Path) -> None:
    photo = {"augment._target_": "cnnlab.data.augment_photo.Photo"}
    finished_run(tmp_path / "before", 1, photo | {"augment.flip": 0.5})
    config = finished_run(tmp_path / "now", 2, photo | {"augment.crop": 0.35})
    for run, augment in {"before": "flip", "now": "photo"}.items():
        content = {"hydra": {"runtime": {"choices": {"augment": augment}}}}
        (tmp_path / run / ".hydra/hydra.yaml").write_text(json.dumps(content))
    table = end_table(METRICS, tmp_path / "now", config)
    assert row(table, "change") == "+0.00 points: augment flip → photo (against before)"


def test_less_of_a_loss_is_better_and_a_damaged_run_is_passed_over(tmp_path: Path) -> None:
    finished_run(tmp_path / "before", 1, {}, val_loss=0.5)
    finished_run(tmp_path / "damaged", 2, {})
    (tmp_path / "damaged/metrics.json").write_text("{")
    config = finished_run(tmp_path / "now", 3, {"monitor": "val/loss"})
    table = end_table(METRICS | {"val/loss": 0.25}, tmp_path / "now", config)
    assert row(table, "change") == "val/loss -0.2500: the same settings (against before)"


def test_what_next_names_this_run_and_proposes_one_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["train.py"])
    config = finished_run(tmp_path / "outputs/runs/now", 1, {})
    lines = end_table(METRICS, Path("outputs/runs/now"), config).splitlines()
    commands = [line.strip() for line in lines[lines.index("What next?") + 1 :]]
    assert commands[0].endswith("--logdir outputs/runs")
    assert commands[-1].endswith(" train.py data.batch_size=64 model.hidden_units=20")
    assert any(command.endswith(" evaluate.py run=outputs/runs/now") for command in commands)  # only: workbench
    assert max(map(len, lines[: lines.index("What next?")])) <= 80


def test_weights_are_told_first_and_keep_the_size_of_their_network(tmp_path: Path) -> None:
    finished_run(tmp_path / "before", 1, {"model._target_": "cnnlab.models.linear.Linear"})
    config = finished_run(tmp_path / "now", 2, {"model.weights": "pretrained"})
    table = end_table(METRICS, tmp_path / "now", config)
    assert row(table, "change").endswith(
        "points: model.weights null → pretrained, model Linear → TinyVGG (against before)"
    )
    assert table.splitlines()[-1].endswith(" data.batch_size=64 model.hidden_units=10 optimizer.lr=0.003")


def test_after_a_batch_is_learned_the_training_is_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train.py"])
    config = finished_run(tmp_path / "now", 1, {"monitor": "train/accuracy"})
    (tmp_path / "now/.hydra/overrides.yaml").write_text("- trainer=overfit\n- model.hidden_units=16\n")
    table = end_table(METRICS | {"train/accuracy": 1.0, "learnt_after": 3}, tmp_path / "now", config)
    assert table.splitlines()[-1].endswith("train.py model.hidden_units=16")
