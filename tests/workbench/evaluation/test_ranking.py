"""ROC and precision-recall curves agree with scikit-learn; labels in doubt are found."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from cnnlab.workbench.evaluation.labels import suspicious
from cnnlab.workbench.evaluation.ranking import curves, table
from cnnlab.workbench.evaluation.scores import Scores


def scores(logits: Tensor, labels: Tensor, names: str) -> Scores:
    outputs: Any = SimpleNamespace(logits=logits, labels=labels, seconds=1.0)
    return Scores(outputs, names.split())


def test_areas_are_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (300,), generator=generator)
    logits = (torch.randn(300, 4, generator=generator) + 1.5 * torch.eye(4)[labels]).round(decimals=1)  # with ties
    computed = scores(logits, labels, "a b c never")
    found = curves(computed)
    assert [one.name for one in found] == ["a", "b", "c"]
    for label, one in enumerate(found):
        truth, share = (labels == label).numpy(), computed.probabilities[:, label].numpy()
        assert one.roc_auc == pytest.approx(roc_auc_score(truth, share), abs=1e-6)
        assert one.average_precision == pytest.approx(average_precision_score(truth, share), abs=1e-6)
        assert (np.diff(one.recall) >= 0).all()
    assert table(found).index.tolist() == ["a", "b", "c"]
    assert curves(scores(logits[labels == 0], labels[labels == 0], "a b c never")) == []


def test_labels_are_in_doubt_where_the_network_is_as_sure_as_usual_of_another_class() -> None:
    shares = torch.tensor(
        [[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.95, 0.05], [0.99, 0.01], [0.45, 0.55]], dtype=torch.float64
    )
    labels = torch.tensor([0, 0, 1, 1, 1, 1, 0])  # 4 and 5 look like the other class; of 6 the network is not sure
    usual_of_1 = (0.9 + 0.8 + 0.05 + 0.01) / 4
    assert usual_of_1 < 0.55
    assert suspicious(scores(shares.log(), labels, "a b")).tolist() == [5, 4, 6]
    labels[4] = labels[5] = 0
    assert suspicious(scores(shares.log(), labels, "a b")).tolist() == []  # 0.55 is less than the usual 0.85
