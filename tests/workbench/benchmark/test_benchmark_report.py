"""Numbers become the right text."""

import pandas as pd
import pytest

from cnnlab.workbench.benchmark import report
from cnnlab.workbench.benchmark.report import Aim


def test_a_spread_is_median_smallest_and_largest() -> None:
    assert report.spread(pd.Series([3.0, 1.0, 2000.0])) == "3 (1–2,000)"
    assert report.spread(pd.Series([1.26]), 1) == "1.3"
    assert report.spread(pd.Series([float("nan")])) == "–"
    assert report.mean_sd(pd.Series([99.0, 99.2]), 2) == "99.10 ± 0.14"


@pytest.mark.parametrize(
    ("sign", "measured", "reached"),
    [("≤", 400.0, True), ("≤", 400.1, False), ("≥", 400.0, True), ("≥", 399.9, False), ("≥", float("nan"), False)],
)
def test_an_aim_is_reached_at_its_limit_and_no_further(sign: str, measured: float, reached: bool) -> None:
    aim = Aim("template", sign, 400.0, " µs", measured)
    assert aim.reached is reached
    assert str(aim) == f"template {sign} 400 µs: {'yes' if reached else 'no'}"


def test_several_aims_stand_in_one_cell_and_none_leave_it_empty() -> None:
    assert report.aims(Aim("a", "≤", 1, "", 1), None, Aim("", "≥", 2, "", 1)) == "a ≤ 1: yes, ≥ 2: no"
    assert report.aims(None) == ""


def test_ratios_are_taken_repeat_by_repeat() -> None:
    rows = pd.DataFrame(
        {
            "variant": ["a", "b", "b", "a"],
            "repeat": [0, 0, 1, 1],
            "steps": [10, 20, 20, 10],
            "seconds": [1.0, 4.0, 8.0, 4.0],
            "images": [320, 640, 640, 320],
        }
    )
    assert (report.per_repeat(rows, "seconds")["b"] / report.per_repeat(rows, "seconds")["a"]).tolist() == [4.0, 2.0]
    assert report.per_repeat(rows, "per_step")["b"].tolist() == [0.2, 0.4]
    assert report.per_repeat(rows, "rate")["a"].tolist() == [320.0, 80.0]


def test_a_table_is_markdown_and_no_rows_are_no_table() -> None:
    assert report.section("What", [{"a": 1, "b": "x"}]) == "What\n\n| a | b |\n| --- | --- |\n| 1 | x |\n\n"
    assert report.section("What", []) == ""
