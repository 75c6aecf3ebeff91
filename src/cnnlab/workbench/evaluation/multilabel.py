"""Scores each label of samples that may have several."""

import itertools

import pandas as pd
import torch
from torch import Tensor
from torchmetrics.functional.classification import multilabel_average_precision

from cnnlab.runs.run_record import rounded
from cnnlab.workbench.evaluation import label_figure
from cnnlab.workbench.evaluation.task_report import Evaluated, TaskReport
from cnnlab.workbench.notation import aligned, shortened, shown_value

_SCORES = ("precision", "recall", "F1", "average_precision")
_MEANING = (
    "A sample is given a label if its probability is above 0.5. Found are the\n"
    "samples that have the label and were given it. Missed are those that have it\n"
    "and were not given it. False alarms were given it and do not have it. The\n"
    "average precision is the area under the precision-recall curve, which does\n"
    "not depend on the 0.5."
)
_LONGEST_LINE = 20  # characters of a caption


def report(evaluated: Evaluated) -> TaskReport:
    """Return the scores of all labels together and of each, tables and figures."""
    names, outputs = evaluated.datamodule.class_names, evaluated.outputs
    probabilities, true = outputs.logits.sigmoid(), outputs.labels > 0.5
    predicted = outputs.logits > 0
    labels = per_label(probabilities, true, list(names))
    exact = (predicted == true).all(dim=1)
    metrics = {
        f"{evaluated.split}/exact_match": rounded(float(exact.float().mean())),
        **{f"{evaluated.split}/macro_{name}": rounded(value) for name, value in labels[list(_SCORES)].mean().items()},
        **evaluated.speed,
        "per_label": {
            str(name): {key: int(value) if key in label_figure.COUNTS else rounded(value) for key, value in row.items()}
            for name, row in labels.to_dict("index").items()
        },
    }

    def caption(index: int) -> tuple[str, bool | None]:
        answered = _named(predicted[index], names)
        if exact[index]:
            return f"#{index}\n{answered}", True
        return f"#{index}\ntrue {_named(true[index], names)}\npredicted {answered}", False

    files = {
        "per_label.png": label_figure.draw(labels, f"{evaluated.title}: each label", evaluated.datamodule.noun),
        "per_label.csv": labels.to_csv(index_label="label", float_format="%.6f", lineterminator="\n").encode(),
        "predictions.csv": _predictions(probabilities, true, names),
        **evaluated.galleries(caption),
    }
    rows = [["label", *(name.replace("_", " ") for name in labels.columns)]]
    for name, row in labels.to_dict("index").items():
        counts = [f"{row[key]:,.0f}" for key in label_figure.COUNTS]
        rows.append([shortened(str(name), 24), *counts, *(shown_value(row[key]) for key in _SCORES)])
    return TaskReport(metrics, files, f"{aligned(rows, num_names=1)}\n\n{_MEANING}")


def per_label(probabilities: Tensor, true: Tensor, names: list[str]) -> pd.DataFrame:
    """Return counts and scores, indexed by label.

    As in scikit-learn with zero_division=0, a ratio with nothing to divide by is 0; a label that no sample has, and
    none was given, has nan, which pandas leaves out of a mean. So has the average precision of a label that no sample
    has.

    Args:
        probabilities: (N, num_labels).
        true: (N, num_labels) bool.
    """
    predicted = probabilities > 0.5
    found, missed, alarms = ((a & b).sum(dim=0) for a, b in ((predicted, true), (~predicted, true), (predicted, ~true)))
    areas = multilabel_average_precision(probabilities, true.int(), len(names), average=None)
    precision_of = torch.where(true.any(dim=0), areas, torch.nan)
    is_there = found + missed + alarms > 0
    ratios = {
        "precision": (found, found + alarms),
        "recall": (found, found + missed),
        "F1": (2 * found, 2 * found + missed + alarms),
    }
    scores = {name: torch.where(is_there, part / of.clamp(min=1), torch.nan) for name, (part, of) in ratios.items()}
    counts = zip(label_figure.COUNTS, (found + missed, found, missed, alarms), strict=True)
    columns = {**dict(counts), **scores, "average_precision": precision_of}
    return pd.DataFrame({name: values.numpy() for name, values in columns.items()}, index=pd.Index(names))


def _named(chosen: Tensor, names: tuple[str, ...]) -> str:
    return shortened(", ".join(itertools.compress(names, chosen.tolist())) or "none", _LONGEST_LINE)


def _predictions(probabilities: Tensor, true: Tensor, names: tuple[str, ...]) -> bytes:
    """A CSV line per sample: its labels, those it was given, and the probability of each label."""

    def joined(chosen: Tensor) -> list[str]:
        return ["; ".join(itertools.compress(names, row)) for row in chosen.tolist()]

    table = pd.DataFrame({"true": joined(true), "predicted": joined(probabilities > 0.5)})
    table[[f"probability of {name}" for name in names]] = probabilities.numpy()
    return str(table.to_csv(index_label="index", float_format="%.6f", lineterminator="\n")).encode()
