"""Metrics by short names: known to torchmetrics, and with the direction that it gives them."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, roc_auc_score
from torchmetrics.classification import MulticlassFBetaScore

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
