"""The block that shows a running search."""

import pytest

from async_optuna.status_block import Progress, Row, block, clock, settings_in_words


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)


def progress(**more: object) -> Progress:
    return Progress("tinyvgg", 12, 40, 130, 300, ["8 complete", "4 pruned"], **more)  # type: ignore[arg-type]


ROWS = [
    Row(12, {"optimizer": "sgd", "optimizer.lr": 0.03412}, 958.0, 3, 6, 0.90211),
    Row(13, {"optimizer": "adam"}, 995.0, num_steps=6),
    Row(14, {"optimizer": "adamw"}, 999.0),
]


def text(lines: list[list[tuple[str, str]]]) -> list[str]:
    return ["".join(piece for piece, _ in line).rstrip() for line in lines]


def test_progress_numbers_and_a_row_for_each_running_trial() -> None:
    best = {"optimizer": "adamw", "optimizer.lr": 0.001}
    shown = text(block(progress(best="best 0.94 (trial 7)", best_point=best), ROWS, "epoch", 79, 23))
    assert shown == [
        f"tinyvgg {'━' * 40} 12/40  2:10 < 5:00",
        "best 0.94 (trial 7)  8 complete, 4 pruned",
        " trial   epoch     value    time  differs from the best in",
        "    12     3/6    0.9021    0:42  optimizer=sgd lr=0.0341",
        "    13     -/6         -    0:05  optimizer=adam",
        "    14       -         -    0:01",
    ]


def test_before_there_is_a_best_all_settings_are_shown() -> None:
    shown = text(block(progress(note="paused"), ROWS[2:], "step", 79, 23))
    assert shown[1:] == [
        "8 complete, 4 pruned  paused",
        " trial    step     value    time  settings",
        "    14       -         -    0:01  optimizer=adamw",
    ]


@pytest.mark.parametrize(
    ("lines", "end"),
    [(1, "2:10 < 5:00"), (2, "4 pruned"), (5, "  and 2 more"), (6, "0:01  optimizer=adamw")],
)
def test_a_low_window_shows_the_first_and_counts_the_rest(lines: int, end: str) -> None:
    shown = text(block(progress(), ROWS, "epoch", 79, lines))
    assert len(shown) == lines
    assert shown[-1].endswith(end)


@pytest.mark.parametrize("columns", [10, 25, 40, 60])
def test_the_bar_gives_way_to_the_numbers(columns: int) -> None:
    (first, *_) = text(block(progress(), [], "epoch", columns, 23))
    assert first.endswith("12/40  2:10 < 5:00")
    assert len(first) <= max(columns, len("12/40  2:10 < 5:00"))


def test_times_and_settings_in_words() -> None:
    assert [clock(seconds) for seconds in (4.9, 65, 7384)] == ["0:04", "1:05", "2:03:04"]
    point = {"a.lr": 0.12345, "b.lr": 1, "+w.size": 3}
    assert settings_in_words(point) == "a.lr=0.123 b.lr=1 size=3"
    assert settings_in_words(point, {"a.lr": 0.12345, "+w.size": 4}) == "b.lr=1 size=3"
