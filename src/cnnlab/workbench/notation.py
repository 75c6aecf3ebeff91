"""How names and numbers are written in tables and figures."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from cnnlab.errors import printable
from cnnlab.notation import (
    aligned as aligned,
    is_share as is_share,
    shown_bytes as shown_bytes,
    shown_class as shown_class,
    shown_metric as shown_metric,
    shown_number as shown_number,
    shown_seconds as shown_seconds,
    shown_value as shown_value,
)

ABSENT = math.nan  # in tables of parameters: the trial's branch of the space does not have this one


def is_absent(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def short_names(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Each dotted name with as few of its last parts as tell it from the others and from the words already taken."""
    parts = {name: name.lstrip("+~").split(".") for name in names}
    kept = dict.fromkeys(parts, 1)
    while True:
        short = {name: ".".join(parts[name][-kept[name] :]) for name in parts}
        words = [*short.values(), *taken]
        clashing = [name for name in parts if words.count(short[name]) > 1 and kept[name] < len(parts[name])]
        if not clashing:
            return short
        for name in clashing:
            kept[name] += 1


def shown(value: Any) -> str:
    """A parameter's value as it would be typed, floats to four digits; "" where it is absent."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if is_absent(value):
        return ""
    if isinstance(value, float):
        return shown_number(value)
    return printable(" ".join(str(value).split()))  # in one line


def typed(text: str) -> Any:
    """The number, truth value or null that a text stands for, or the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"null": None, "true": True, "false": False}.get(text, text)


def metric_words(name: str) -> str:
    """A metric's name in words: validation accuracy for val/accuracy, number of parameters for num_parameters."""
    split, slash, rest = name.rpartition("/")
    words = {"val": "validation", "train": "training"}.get(split, split)
    rest = re.sub("^num_", "number of ", re.sub("^train_", "training ", rest))
    return f"{words}{' ' * bool(slash)}{rest.replace('_', ' ')}"


def times(sizes: str) -> str:
    """Sizes as a figure has them: 3×3 for 3x3."""
    return re.sub(r"(?<=\d)x(?=\d)", "×", sizes)


def decimals_of(deviations: Iterable[float]) -> int:
    """How many decimals give the median of these standard deviations two significant digits."""
    known = sorted(d for d in deviations if math.isfinite(d) and d > 0)
    return min(8, max(0, 1 - math.floor(math.log10(known[len(known) // 2])))) if known else 4


def shown_spread(mean: float, deviation: float, decimals: int) -> str:
    """mean ± standard deviation; the mean alone where one value has no deviation."""
    if is_absent(mean):
        return ""
    text = f"{mean:,.{decimals}f}"
    return text if is_absent(deviation) else f"{text} ± {deviation:,.{decimals}f}"


def shortened(text: str, length: int) -> str:
    """At most `length` printable characters; longer texts lose their middle, for choices tend to differ at the ends."""
    text = printable(text)
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def markdown(rows: Iterable[Iterable[Any]]) -> str:
    """The same as a Markdown table, with a final newline; missing numbers leave their cells empty."""
    texts = [["" if is_absent(cell) else str(cell) for cell in row] for row in rows]
    escaped = [[" ".join(cell.replace("|", "\\|").split()) for cell in row] for row in texts]
    lines = [escaped[0], ["---"] * len(escaped[0]), *escaped[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def csv_bytes(rows: Iterable[Sequence[Any]]) -> bytes:
    """The same as a CSV file; what UTF-8 cannot hold of a file's name is written as an escape."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode(errors="backslashreplace")
