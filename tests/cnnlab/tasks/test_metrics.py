"""Metrics by short names: known to torchmetrics, and with the direction that it gives them."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, roc_auc_score
from torchmetrics.classification import MulticlassAccuracy, MulticlassFBetaScore

from cnnlab.direction import direction_in_name
from cnnlab.tasks.metrics import choices, collected

TASKS = ("classes", "multilabel", "values")


@pytest.mark.parametrize("targets", TASKS)
def test_the_name_tells_the_direction_that_torchmetrics_gives(targets: str) -> None:
    found = choices(targets)
    assert found
    for name, metric in found.items():
        if metric.higher_is_better is not None:
            assert direction_in_name(f"val/{name}") == ("max" if metric.higher_is_better else "min"), name
    assert {"f1", "auroc", "average_precision"} <= set(choices("classes")) & set(choices("multilabel"))
    assert {"mse", "mae", "r2"} <= set(choices("values"))


def test_numbers_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 3, 200), rng.random((200, 3)).astype(np.float32)
    scores /= scores.sum(axis=1, keepdims=True)
    metrics = collected(["f1", "auroc", MulticlassFBetaScore(2.0, 3)], "classes", 3)
    for part in (slice(0, 150), slice(150, 200)):
        metrics.update(torch.from_numpy(scores[part]), torch.from_numpy(labels[part]))
    found = {name: float(value) for name, value in metrics.compute().items()}
    assert set(found) == {"f1", "auroc", "fbeta"}
    assert found["f1"] == pytest.approx(f1_score(labels, scores.argmax(axis=1), average="macro"), abs=1e-6)
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, scores, multi_class="ovr"), abs=1e-6)


def test_a_class_without_samples_is_left_out_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 3, 90), rng.random((90, 4)).astype(np.float32)
    scores /= scores.sum(axis=1, keepdims=True)
    expected = np.mean([roc_auc_score(labels == label, scores[:, label]) for label in range(3)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn and torchmetrics say that a class has no samples
        balanced = balanced_accuracy_score(labels, scores.argmax(axis=1))
        for targets, of_samples in (("classes", labels), ("multilabel", np.eye(4, dtype=int)[labels])):
            names = ["auroc", "average_precision", *(["balanced_accuracy"] if targets == "classes" else [])]
            metrics = collected(names, targets, 4)
            metrics.update(torch.from_numpy(scores), torch.from_numpy(of_samples))
            found = {name: float(value) for name, value in metrics.compute().items()}
            precision = [average_precision_score(labels == label, scores[:, label]) for label in range(3)]
            assert found["auroc"] == pytest.approx(expected, abs=1e-6)
            assert found["average_precision"] == pytest.approx(np.mean(precision), abs=1e-6)
            assert found.get("balanced_accuracy", balanced) == pytest.approx(balanced, abs=1e-6)


def test_an_object_is_named_after_what_it_computes() -> None:
    assert set(collected([MulticlassAccuracy(5, top_k=3)], "classes", 5)) == {"top3_accuracy"}
    assert direction_in_name("val/top3_accuracy") == "max"
    with pytest.raises(ValueError, match="accuracy is there already"):
        collected([MulticlassAccuracy(5, average="micro")], "classes", 5, logged_anyway=("accuracy",))


@pytest.mark.parametrize(
    ("metrics", "targets", "words"),
    [
        (["f2"], "classes", "metrics: expected some of auroc, .*got 'f2'"),
        (["acuroc"], "classes", "did you mean auroc"),
        (["r2"], "classes", "got 'r2'"),
        (["auroc"], "values", "got 'auroc'"),
        (["f1", "f1"], "classes", "f1 is there already"),
        (["accuracy"], "multilabel", "accuracy is there already"),
    ],
)
def test_a_metric_that_the_task_lacks_is_refused(metrics: list[str], targets: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        collected(metrics, targets, 3, logged_anyway=("loss", "accuracy"))
