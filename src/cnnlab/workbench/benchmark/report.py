"""Numbers as text: spreads, aims and Markdown tables."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from cnnlab.workbench.notation import markdown


class Aim(NamedTuple):
    """A limit that a measured number was to keep.

    Attributes:
        name: of the number.
        sign: ≤ or ≥.
    """

    name: str
    sign: str
    limit: float
    unit: str
    measured: float

    @property
    def reached(self) -> bool:
        return self.measured <= self.limit if self.sign == "≤" else self.measured >= self.limit

    @property
    def bound(self) -> str:
        return f"{self.sign} {self.limit:g}{self.unit}"

    def __str__(self) -> str:
        return f"{self.name} {self.bound}: {'yes' if self.reached else 'no'}".strip()


def aims(*reached: Aim | None) -> str:
    """A cell of the last column; empty where nothing was aimed at."""
    return ", ".join(map(str, filter(None, reached)))


def spread(values: pd.Series, decimals: int = 0) -> str:
    """The text "median (smallest–largest)"; the median alone of a single value, "–" without any value."""
    values = values.dropna()
    if values.empty:
        return "–"
    low, middle, high = (f"{value:,.{decimals}f}" for value in (values.min(), values.median(), values.max()))
    return middle if len(values) == 1 else f"{middle} ({low}–{high})"


def mean_sd(values: pd.Series, decimals: int) -> str:
    """The text "mean ± sample standard deviation"."""
    mean = f"{values.mean():,.{decimals}f}"
    return mean if len(values) == 1 else f"{mean} ± {values.std():,.{decimals}f}"


def per_repeat(cell: pd.DataFrame, value: str) -> pd.DataFrame:
    """One column per variant, one line per repeat: `seconds`, `per_step` or `rate` (images/s)."""
    if value == "rate":
        values = cell["images"] / cell["seconds"]
    else:
        values = cell["seconds"] / (cell["steps"] if value == "per_step" else 1)
    return cell.assign(value=values).pivot(index="repeat", columns="variant", values="value")


def rates(cell: pd.DataFrame) -> pd.DataFrame:
    """Images/s, one column per variant, one line per repeat."""
    return per_repeat(cell, "rate")


def section(title: str, rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table below its title; nothing where there are no rows."""
    return f"{title}\n\n{markdown([rows[0], *(row.values() for row in rows)])}\n" if rows else ""
