"""Metrics of torchmetrics by short names, with the arguments that the data decide filled in."""

import inspect
import re
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection, classification, regression
from torchmetrics.utilities.data import dim_zero_cat

from cnnlab.errors import did_you_mean

# Where the metrics of a kind of targets are found, and how their names begin.
_HOMES = {"classes": (classification, "Multiclass"), "multilabel": (classification, "Multilabel")}
_SHORT = {
    "Accuracy": "balanced_accuracy",  # the mean of the classes' recalls
    "ContinuousRankedProbabilityScore": "crps",
    "FBetaScore": "fbeta",
    "JaccardIndex": "jaccard",
    "MatthewsCorrCoef": "mcc",
    "MeanAbsoluteError": "mae",
    "MeanSquaredError": "mse",
}
_NO_NUMBERS = {"ConfusionMatrix", "PrecisionRecallCurve", "ROC", "StatScores"}  # they compute a matrix or a curve


def _over_present(of_classes: Tensor, target: Any) -> Tensor:
    """The mean over the classes of which there are samples, and others; torchmetrics counts the rest as 0."""
    targets = dim_zero_cat(target)
    counts = targets.sum(dim=0) if targets.dim() == 2 else torch.bincount(targets, minlength=len(of_classes))
    return of_classes[(counts > 0) & (counts < len(targets))].mean().nan_to_num()


class _BalancedAccuracy(classification.MulticlassAccuracy):
    def compute(self) -> Tensor:
        num_samples = torch.as_tensor(self.tp) + torch.as_tensor(self.fn)
        return super().compute()[num_samples > 0].mean()


class _MulticlassAUROC(classification.MulticlassAUROC):
    def compute(self) -> Tensor:  # type: ignore[override]
        return _over_present(super().compute(), self.target)


class _MultilabelAUROC(classification.MultilabelAUROC):
    def compute(self) -> Tensor:  # type: ignore[override]
        return _over_present(super().compute(), self.target)


class _MultilabelAveragePrecision(classification.MultilabelAveragePrecision):
    def compute(self) -> Tensor:  # type: ignore[override]
        return _over_present(super().compute(), self.target)


_MENDED = {
    classification.MulticlassAccuracy: _BalancedAccuracy,
    classification.MulticlassAUROC: _MulticlassAUROC,
    classification.MultilabelAUROC: _MultilabelAUROC,
    classification.MultilabelAveragePrecision: _MultilabelAveragePrecision,
}


def choices(targets: str) -> dict[str, type[Metric]]:
    """Return the metrics that a task has, by their short names: those that need to know no more than the data."""
    home, prefix = _HOMES.get(targets, (regression, ""))
    found = {name: getattr(home, name) for name in dir(home) if name.startswith(prefix)}
    return {
        short_name(metric): metric
        for name, metric in found.items()
        if isinstance(metric, type) and issubclass(metric, Metric)
        if name.removeprefix(prefix) not in _NO_NUMBERS and set(_required(metric)) <= set(arguments(1))
    }


def arguments(num_outputs: int) -> dict[str, int]:
    """Return the arguments of metrics that the data decide."""
    return dict.fromkeys(("num_classes", "num_labels", "num_outputs"), num_outputs)


def short_name(metric: type[Metric]) -> str:
    """Return the name under which a metric is logged: f1 for MulticlassF1Score, r2 for R2Score."""
    name = re.sub("^(Multiclass|Multilabel|Binary)", "", metric.__name__)
    words = re.sub("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.removesuffix("Score"))
    return _SHORT.get(name, words.lower())


def collected(
    metrics: Sequence[str | Metric], targets: str, num_outputs: int, logged_anyway: Collection[str] = ()
) -> MetricCollection:
    """Return the metrics as one collection that computes once what several of them need.

    Args:
        metrics: names of `choices`, or objects.
        targets: of the task: classes, multilabel or values.
        num_outputs: the number of classes, labels or values.
        logged_anyway: names that are taken.

    Raises:
        ValueError: for a name that the task does not have, or that is taken.
    """
    known = choices(targets) if metrics else {}
    found: dict[str, Metric | MetricCollection] = {}
    for metric in metrics:
        name = metric if isinstance(metric, str) else _name_of(metric)
        if name in logged_anyway or name in found:
            raise ValueError(f"metrics: {name} is there already; leave it out")
        if isinstance(metric, str):
            if name not in known:
                listed = ", ".join(sorted(known))
                raise ValueError(f"metrics: expected some of {listed}, got {name!r}{did_you_mean(name, known)}")
            kind = known[name]
            wanted = {key: value for key, value in arguments(num_outputs).items() if key in _parameters(kind)}
            metric = _MENDED[kind](**wanted, average="none") if kind in _MENDED else kind(**wanted)
        found[name] = metric
    return MetricCollection(found)


def _name_of(metric: Metric) -> str:
    """The name under which an object is logged, with what its arguments make of it: top3_accuracy."""
    name, top_k = short_name(type(metric)), getattr(metric, "top_k", None) or 1
    if isinstance(metric, classification.MulticlassAccuracy) and (top_k > 1 or metric.average != "macro"):
        name = "accuracy"
    return f"top{top_k}_{name}" if top_k > 1 else name


def _parameters(metric: type[Metric]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(metric.__init__).parameters)


def _required(metric: type[Metric]) -> list[str]:
    empty = inspect.Parameter.empty
    named = [one for one in _parameters(metric).values() if one.kind is one.POSITIONAL_OR_KEYWORD]
    return [one.name for one in named if one.default is empty and one.name != "self"]
