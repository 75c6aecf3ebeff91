"""Scores the values that a network estimates."""

from typing import Any

import pandas as pd
import torch
from torch import Tensor

from cnnlab.runs.run_record import rounded
from cnnlab.workbench.evaluation import value_figure
from cnnlab.workbench.evaluation.task_report import Evaluated, TaskReport
from cnnlab.workbench.notation import aligned, shortened, shown_number, shown_value

_MEANING = (
    "mae is the mean absolute error, and rmse the square root of the mean squared\n"
    "error. r2 is 1 for perfect answers, and 0 for answers that are no better than\n"
    "the mean of the true values. bias is the mean of predicted - true."
)
_MOST_IN_A_CAPTION = 2


def report(evaluated: Evaluated) -> TaskReport:
    """Return the scores of each value, tables and figures."""
    names, outputs = evaluated.datamodule.class_names, evaluated.outputs
    predicted, true = outputs.logits, outputs.labels
    values = per_value(predicted, true, list(names))
    per = {str(name): {key: rounded(value) for key, value in row.items()} for name, row in _rows(values)}
    metrics = {f"{evaluated.split}/rmse": rounded(float((predicted - true).square().mean().sqrt()))}

    def caption(index: int) -> tuple[str, bool | None]:
        pairs = list(zip(names, predicted[index].tolist(), true[index].tolist(), strict=True))[:_MOST_IN_A_CAPTION]
        lines = [f"{shortened(name, 10)} {shown_number(one)}, true {shown_number(other)}" for name, one, other in pairs]
        return "\n".join([f"#{index}", *lines]), None

    table = pd.DataFrame({f"true {name}": true[:, i].numpy() for i, name in enumerate(names)})
    table[[f"predicted {name}" for name in names]] = predicted.numpy()
    files = {
        "predicted_against_true.png": value_figure.draw(predicted.numpy(), true.numpy(), names, evaluated.title),
        "per_value.csv": values.to_csv(index_label="value", float_format="%.6g", lineterminator="\n").encode(),
        "predictions.csv": table.to_csv(index_label="index", float_format="%.6g", lineterminator="\n").encode(),
        **evaluated.galleries(caption),
    }
    rows = [["value", *values.columns]]
    rows += [[shortened(str(name), 24), *map(shown_value, row.values())] for name, row in _rows(values)]
    text = f"{aligned(rows, num_names=1)}\n\n{_MEANING}"
    return TaskReport({**metrics, **evaluated.speed, "per_value": per}, files, text)


def per_value(predicted: Tensor, true: Tensor, names: list[str]) -> pd.DataFrame:
    """Return mae, rmse, r2 and bias, indexed by value; r2 is nan where all true values are the same.

    Args:
        predicted, true: (N, num_values).
    """
    errors, spread = (predicted - true).double(), (true - true.mean(dim=0)).double().square().sum(dim=0)
    squares = errors.square().sum(dim=0)
    columns = {
        "mae": errors.abs().mean(dim=0),
        "rmse": errors.square().mean(dim=0).sqrt(),
        "r2": torch.where(spread > 0, 1 - squares / spread, torch.nan),
        "bias": errors.mean(dim=0),
    }
    return pd.DataFrame({name: values.numpy() for name, values in columns.items()}, index=pd.Index(names))


def _rows(values: pd.DataFrame) -> list[tuple[Any, dict[str, float]]]:
    return list(values.to_dict("index").items())
