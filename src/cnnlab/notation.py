"""How numbers are written everywhere: one style for each kind of number."""

import math
from collections.abc import Mapping
from typing import Any


def shown_metric(name: str, value: float | None) -> str:
    """Write a number of metrics.json, an accuracy in per cent with two decimals and anything else as its name suggests.

    Args:
        name: of the metric, as in val/accuracy.
        value: None or NaN is written as nothing.
    """
    if value is None or math.isnan(value):
        return ""
    if is_share(name):
        return f"{value:.2%}"
    if name.startswith("num_") or name.endswith("per_second"):
        return f"{value:,.0f}"
    return shown_seconds(value) if name.endswith("seconds") else shown_value(value)


def without_repetition(scores: Mapping[str, float | None]) -> dict[str, Any]:
    """Return the scores of a split without its mean squared error where the loss is the same number."""
    loss, error = scores.get("loss"), scores.get("mse")
    is_same = loss is not None and error is not None and math.isclose(loss, error, rel_tol=1e-4)
    return {name: value for name, value in scores.items() if not (is_same and name == "mse")}


def shown_bytes(number: int) -> str:
    """Write the size of a file or of weights, in MiB from one of them on."""
    return f"{number / 2**20:,.1f} MiB" if number >= 2**20 else f"{number / 2**10:,.1f} KiB"


def shown_change(name: str, change: float) -> str:
    """Write by how much a metric has changed: an accuracy in percentage points, anything else with its name."""
    sign = "-" if change < 0 else "+"
    return f"{sign}{abs(change) * 100:.2f} points" if is_share(name) else f"{name} {sign}{shown_value(abs(change))}"


def shown_class(path: str) -> str:
    """Write a class without its module. The augmentation that changes nothing is `none`, as on the command line."""
    name = path.rpartition(".")[2]
    return "none" if name == "Unchanged" else name


def is_share(name: str) -> bool:
    """Return whether a metric is a share of the samples and therefore written in per cent."""
    return name.endswith("accuracy")


def shown_value(value: float) -> str:
    """Write a score with four decimals, enough for one sample in 5,000, or four digits if it is very large or small."""
    if math.isnan(value):
        return ""
    if 1e4 <= abs(value) < 1e12:
        return f"{value:,.0f}"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else shown_number(value)


def shown_number(value: float) -> str:
    """Write four significant digits without padding, integers below a million in full: 0.004, 64, 10000, 1e-5."""
    if abs(value) < 1e6 and value == round(value):
        return str(round(value))
    mantissa, e, exponent = f"{value:.4g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def shown_seconds(value: float) -> str:
    """Write seconds without their unit, with one decimal below a hundred."""
    return "" if math.isnan(value) else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def aligned(rows: list[list[str]], num_names: int = 0) -> str:
    """Rows of cells, the first being the header, as a table of plain text: numbers to the right, words to the left.

    The first `num_names` columns are words even where all begin with a digit, as names of files may.
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [i >= num_names and all(_is_number(cell) for cell in column[1:]) for i, column in enumerate(columns)]
    lines = [
        "  ".join(
            cell.rjust(width) if r else cell.ljust(width) for cell, width, r in zip(row, widths, right, strict=True)
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def _is_number(cell: str) -> bool:
    return cell == "" or cell[0].isdigit() or cell[0] == "-"
