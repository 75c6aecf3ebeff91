"""How well the probability of each class tells its samples from all others, whatever the threshold."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_precision_recall_curve, binary_roc

from cnnlab.workbench.evaluation.scores import Scores

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """One class against all others, at every threshold.

    Attributes:
        name: of the class.
        false_positives, true_positives: rates, of the ROC curve.
        recall, precision: in the order of rising recall.
    """

    name: str
    false_positives: Points
    true_positives: Points
    recall: Points
    precision: Points

    @property
    def roc_auc(self) -> float:
        """Area under the ROC curve: how often a sample of the class gets more than one of the others. 0.5 is chance."""
        return float(np.trapezoid(self.true_positives, self.false_positives))

    @property
    def average_precision(self) -> float:
        """Mean precision over the recall, without interpolation, as scikit-learn has it."""
        return float((np.diff(self.recall) * self.precision[1:]).sum())


def curves(scores: Scores) -> list[Curves]:
    """Of each class that has samples in the split, and others beside them."""
    found = []
    for label, name in enumerate(scores.class_names):
        is_class = (scores.labels == label).long()
        if not 0 < int(is_class.sum()) < len(is_class):
            continue
        share = scores.probabilities[:, label].double()
        false_positives, true_positives, _ = binary_roc(share, is_class)
        precision, recall, _ = binary_precision_recall_curve(share, is_class)
        points = (false_positives, true_positives, recall.flip(0), precision.flip(0))
        found.append(Curves(name, *(one.double().numpy() for one in points)))
    return found


def table(of_classes: list[Curves]) -> pd.DataFrame:
    """The areas by class."""
    rows = {one.name: {"ROC AUC": one.roc_auc, "average precision": one.average_precision} for one in of_classes}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["ROC AUC", "average precision"])
