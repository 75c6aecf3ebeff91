"""Losses by their names and with the weights of classes; what does not fit is refused before it trains."""

import re

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional

from cnnlab.classifier import Classifier
from cnnlab.tasks import losses
from cnnlab.tasks.multilabel import MultiLabelClassifier

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0], [0.0, 0.0, 3.0], [1.0, 0.0, 0.0]])
LABELS = torch.tensor([0, 1, 2, 2])


def classifier(**settings: object) -> Classifier:
    return Classifier(nn.Identity(), torch.optim.SGD, torch.optim.lr_scheduler.StepLR, (3,), 3, **settings)  # type: ignore[arg-type]


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    labels = np.repeat([0, 1, 2], [70, 25, 5])
    weights = losses.class_weights("balanced", np.bincount(labels).tolist(), 3)
    assert weights is not None
    assert weights.numpy() == pytest.approx(compute_class_weight("balanced", classes=np.arange(3), y=labels))
    without_the_second = losses.class_weights("balanced", [70, 0, 30], 3)
    assert without_the_second is not None
    assert without_the_second.tolist() == pytest.approx([100 / 140, 0, 100 / 60])
    labels_of_pictures = losses.label_weights("balanced", [20, 80], 100, 2)
    assert labels_of_pictures is not None
    assert labels_of_pictures.tolist() == [4, 0.25]


def test_weights_count_in_training_only() -> None:
    weighted, plain = classifier(class_weights=[1, 2, 3]), classifier()
    expected = functional.cross_entropy(LOGITS, LABELS, weight=torch.tensor([1.0, 2.0, 3.0]))
    assert weighted.loss(LOGITS, LABELS) == expected
    assert weighted.eval_loss(LOGITS, LABELS) == plain.loss(LOGITS, LABELS) == functional.cross_entropy(LOGITS, LABELS)
    hinge = classifier(class_weights=[1, 2, 3], loss=nn.MultiMarginLoss(margin=0.5))
    assert hinge.loss(LOGITS, LABELS) != hinge.eval_loss(LOGITS, LABELS)
    assert hinge.eval_loss(LOGITS, LABELS) == nn.MultiMarginLoss(margin=0.5)(LOGITS, LABELS)
    several = MultiLabelClassifier(
        nn.Identity(), torch.optim.SGD, torch.optim.lr_scheduler.StepLR, (3,), 3, class_weights=[1, 2, 3]
    )
    there = functional.one_hot(LABELS, 3).float()
    pos_weight = torch.tensor([1.0, 2.0, 3.0])
    assert several.loss(LOGITS, there) == functional.binary_cross_entropy_with_logits(
        LOGITS, there, pos_weight=pos_weight
    )
    right = [3, 2, 3, 1]  # of three answers to each sample
    assert several.score_sum(LOGITS, there) == pytest.approx(sum(right) / 3)


def test_mixed_labels_are_learnt_and_their_larger_share_counts() -> None:
    shares = torch.tensor([[0.7, 0.3, 0], [0.4, 0.6, 0], [0, 0, 1], [0, 0.2, 0.8]])
    module = classifier(label_smoothing=0.1)
    assert module.loss(LOGITS, shares) == functional.cross_entropy(LOGITS, shares, label_smoothing=0.1)
    assert module.score_sum(LOGITS, shares) == module.score_sum(LOGITS, LABELS) == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": "MultiMarginLos"}, "got 'MultiMarginLos'; did you mean MultiMarginLoss"),
        ({"loss": "torch.nn.NLLLoss"}, "NLLLoss does not take the logits of a network; CrossEntropyLoss does"),
        ({"loss": "MSELoss"}, r"MSELoss does not take outputs \(N, 3\) and targets \(N\)"),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, "CrossEntropyLoss must give one number for a batch"),
        ({"loss": "MultiMarginLoss", "label_smoothing": 0.1}, "label_smoothing is an argument of cross-entropy"),
        ({"class_weights": [1, 2]}, r"class_weights must be 3 numbers from 0 up, .* got \[1, 2\]"),
        ({"class_weights": [1, -2, 1]}, "class_weights must be 3 numbers from 0 up"),
        ({"class_weights": "balance"}, "class_weights must be balanced or a list .* did you mean balanced"),
        ({"class_weights": "balanced"}, "needs the number of training samples of each class"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        classifier(**settings)
    assert not re.search("\n", str(refused.value))
