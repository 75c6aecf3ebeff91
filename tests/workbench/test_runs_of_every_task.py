"""Runs that learnt several labels at once, or values: evaluated, asked for predictions, exported."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, f1_score, r2_score

import cnnlab
from cnnlab.workbench.evaluation.multilabel import per_label
from conftest import Finished, embedded_digits


@pytest.fixture(scope="module")
def trained_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs `labels` and `values` on 300 digits: whether one is even, and whether it is above 6; its class over nine."""
    digits, classes = embedded_digits()
    chosen = np.random.default_rng(0).permutation(5_000)[:300]
    x, y = digits[chosen, ::2, ::2], classes[chosen].astype(int)
    folder = tmp_path_factory.mktemp("tasks")
    targets = {"labels": np.stack([y % 2 == 0, y > 6], axis=1), "values": np.stack([y / 9, 1 - y / 9], axis=1)}
    names = {"labels": ["even", "large"], "values": ["up", "down"]}
    tasks = {"labels": ("multilabel", "multilabel"), "values": ("values", "regression")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, (kind, task) in tasks.items():
            t = targets[name]
            arrays = {"x_train": x[:240], "y_train": t[:240], "x_test": x[240:], "y_test": t[240:]}
            np.savez(f"{name}.npz", **arrays, class_names=names[name])
            where = ["data=npz", f"data.path={name}.npz", f"data.targets={kind}", f"classifier={task}"]
            how = ["trainer.max_epochs=4", "trainer.accelerator=cpu", "logger=none", "optimizer.lr=0.01"]
            cnnlab.train([*where, *how, f"hydra.run.dir={name}"])
    return folder


@pytest.fixture
def runs(trained_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("labels", "values"):
        shutil.copytree(trained_runs / name, tmp_path / name)
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        pixels = embedded_digits()[0][number * 600, ::2, ::2]
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / f"pictures/{number}.png")
    return tmp_path


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def content(path: Path) -> dict[str, object]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.usefixtures("white_figures")
def test_labels_are_evaluated(command: Callable[..., Finished], runs: Path) -> None:
    done = command("evaluate.py", "run=labels")
    assert (done.status, done.err) == (0, "")
    folder = runs / "labels/evaluation/test"
    metrics, before = content(folder / "metrics.json"), content(runs / "labels/metrics.json")
    for name in ("test/accuracy", "test/loss", "test/f1", "test/average_precision"):
        assert metrics[name] == before[name]
    answers = rows(folder / "predictions.csv")
    assert len(answers) == 60
    labels = ("even", "large")
    true = np.array([[label in row["true"].split("; ") for label in labels] for row in answers])
    predicted = np.array([[label in row["predicted"].split("; ") for label in labels] for row in answers])
    shares = np.array([[float(row[f"probability of {label}"]) for label in labels] for row in answers])
    assert (predicted == (shares > 0.5)).all()
    assert metrics["test/accuracy"] == pytest.approx((true == predicted).mean(), abs=1e-6)
    assert metrics["test/exact_match"] == pytest.approx((true == predicted).all(axis=1).mean(), abs=1e-6)
    expected = f1_score(true, predicted, average="macro", zero_division=0)
    assert metrics["test/macro_F1"] == pytest.approx(expected, abs=1e-6)
    assert metrics["test/macro_F1"] == pytest.approx(metrics["test/f1"], abs=1e-6)
    precisions = [average_precision_score(true[:, i], shares[:, i]) for i in (0, 1)]
    assert metrics["test/average_precision"] == pytest.approx(np.mean(precisions), abs=1e-4)
    for number, row in enumerate(rows(folder / "per_label.csv")):
        assert row["label"] == labels[number]
        assert int(row["samples"]) == true[:, number].sum() == int(row["found"]) + int(row["missed"])
        assert int(row["false_alarms"]) == (predicted & ~true)[:, number].sum()
        assert float(row["average_precision"]) == pytest.approx(precisions[number], abs=1e-4)
    assert {path.name for path in folder.glob("*.png")} == {
        "per_label.png",
        "most_wrong.png",
        "random_predictions.png",
    }
    refused = command("evaluate.py", "run=labels", "plots=all")
    assert "learns several labels at once" in refused.err


@pytest.mark.filterwarnings("ignore:No positive samples found")
def test_a_label_that_no_sample_has_is_left_out_of_the_mean_precision() -> None:
    shares = torch.tensor([[0.9, 0.2], [0.4, 0.8], [0.6, 0.1]])
    table = per_label(shares, torch.tensor([[True, False], [False, False], [True, False]]), ["even", "large"])
    assert table["average_precision"].isna().tolist() == [False, True]
    assert table["average_precision"].mean() == 1


@pytest.mark.usefixtures("white_figures")
def test_values_are_evaluated(command: Callable[..., Finished], runs: Path) -> None:
    done = command("evaluate.py", "run=values")
    assert (done.status, done.err) == (0, "")
    folder = runs / "values/evaluation/test"
    metrics, before = content(folder / "metrics.json"), content(runs / "values/metrics.json")
    for name in ("test/mae", "test/mse", "test/r2", "test/loss"):
        assert metrics[name] == before[name]
    answers = rows(folder / "predictions.csv")
    true, predicted = (
        np.array([[float(row[f"{kind} {name}"]) for name in ("up", "down")] for row in answers])
        for kind in ("true", "predicted")
    )
    assert metrics["test/mae"] == pytest.approx(np.abs(true - predicted).mean(), abs=1e-5)
    assert metrics["test/rmse"] == pytest.approx(np.sqrt(np.square(true - predicted).mean()), abs=1e-5)
    for number, row in enumerate(rows(folder / "per_value.csv")):
        assert float(row["r2"]) == pytest.approx(r2_score(true[:, number], predicted[:, number]), abs=1e-3)
        assert float(row["bias"]) == pytest.approx((predicted - true)[:, number].mean(), abs=1e-4)
    assert (folder / "predicted_against_true.png").is_file()


def test_pictures_get_their_labels(command: Callable[..., Finished], runs: Path) -> None:
    done = command("predict.py", "run=labels", "images=pictures", "out=answers")
    assert (done.status, done.err) == (0, "")
    table, listed = rows(runs / "answers/predictions.csv"), content(runs / "answers/predictions.json")["predictions"]
    assert isinstance(listed, list)
    for row, entry in zip(table, listed, strict=True):
        likely = [name for name, share in entry["probabilities"].items() if share > 0.5]
        assert entry["labels"] == likely
        assert row["labels"] == "; ".join(likely)
        assert float(row["probability of even"]) == entry["probabilities"]["even"]
    assert (runs / "answers/contact_sheet.png").is_file()


def test_an_exported_file_says_what_its_outputs_are(command: Callable[..., Finished], runs: Path) -> None:
    done = command("scripts/export.py", "run=labels", "format=safetensors")
    assert done.status == 0, done.err
    assert "sigmoid makes each the probability of its label" in done.out
    assert "0 answers differ" in done.out
    from safetensors import safe_open

    with safe_open(runs / "labels/export/model.safetensors", "pt") as file:
        assert "sigmoid" in file.metadata()["output"]


def test_runs_of_all_tasks_are_listed(command: Callable[..., Finished], runs: Path) -> None:
    listed = command("scripts/runs.py", ".")
    assert listed.status == 0, listed.err
    before = content(runs / "values/metrics.json")
    assert f"{before['val/mae']:.4f}"[:5] in listed.out
    compared = command("scripts/compare.py", ".")
    assert compared.status == 0, compared.err


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("labels", ["data.targets=multilabel", "classifier=multilabel", "classifier.class_weights=balanced"]),
        ("values", ["data.targets=values", "classifier=regression"]),
    ],
)
def test_every_task_is_learnt_and_evaluated_on_a_gpu(
    name: str,
    settings: list[str],
    on_gpu: Callable[..., Finished],
    command: Callable[..., Finished],
    trained_runs: Path,
) -> None:
    data = ["data=npz", f"data.path={trained_runs / name}.npz", "data.train_size=200", "logger=none"]
    run = on_gpu(*data, *settings, "trainer.fast_loop=true", "trainer.cuda_graph=true")
    assert (run.status, run.err) == (0, "")
    done = command("evaluate.py", f"run={run.folder}")
    assert (done.status, done.err) == (0, "")
    evaluated = content(run.folder / "evaluation/test/metrics.json")  # type: ignore[operator]
    assert evaluated["test/loss"] == pytest.approx(run.metrics["test/loss"], rel=0.02)
