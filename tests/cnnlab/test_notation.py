"""One style for each kind of number."""

import math

import pytest

from cnnlab.notation import aligned, shown_bytes, shown_change, shown_metric, without_repetition


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("val/accuracy", 0.93018, "93.02%"),
        ("accuracy", 1.0, "100.00%"),
        ("test/loss", 0.21414, "0.2141"),
        ("val/mse", 12345.6, "12,346"),
        ("val/mse", 2e-5, "2e-5"),
        ("num_parameters", 7740.0, "7,740"),
        ("images_per_second", 5896.1, "5,896"),
        ("train_seconds", 3.14159, "3.1"),
        ("val/loss", math.nan, ""),
        ("val/loss", None, ""),
    ],
)
def test_a_metric_is_written_as_its_name_suggests(name: str, value: float | None, expected: str) -> None:
    assert shown_metric(name, value) == expected


def test_a_squared_error_that_is_the_loss_stands_there_once() -> None:
    scores = {"loss": 0.25, "mae": 0.4, "mse": 0.250001}
    assert list(without_repetition(scores)) == ["loss", "mae"]
    assert list(without_repetition(scores | {"loss": 0.3})) == ["loss", "mae", "mse"]


def test_sizes_have_the_unit_that_keeps_them_short() -> None:
    assert (shown_bytes(30_960), shown_bytes(44_719_411)) == ("30.2 KiB", "42.6 MiB")


def test_a_change_has_a_sign_and_its_unit() -> None:
    assert shown_change("val/accuracy", 0.008) == "+0.80 points"
    assert shown_change("val/loss", -0.0123) == "val/loss -0.0123"


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    assert aligned([["run", "name"], ["1", "a"], ["10", "bc"]]).splitlines() == ["run  name", "  1  a", " 10  bc"]
