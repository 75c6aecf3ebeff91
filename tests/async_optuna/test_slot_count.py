"""A file says how many trials may run at once while the search goes on."""

from pathlib import Path

import pytest

from async_optuna.slot_count import SLOTS_FILE, FreeSlots
from async_optuna.slots import Slot


def test_the_number_of_slots_follows_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # messages name the file as it would be typed here
    said: list[str] = []
    free = FreeSlots([Slot(0, ("a",), 3), Slot(1, ("b",), 3)], tmp_path, can_grow=True, say=said.append)
    first, second = free.take(), free.take()
    assert (first, second, free.take()) == (Slot(0, ("a",), 3), Slot(1, ("b",), 3), None)
    (tmp_path / SLOTS_FILE).write_text("3\n", encoding="utf-8")
    free.look()
    assert (free.take(), free.take()) == (Slot(2, ("a",), 3), None)
    (tmp_path / SLOTS_FILE).write_text("0", encoding="utf-8")
    free.look()
    free.give_back(Slot(1))
    assert free.take() is None
    (tmp_path / SLOTS_FILE).unlink()
    free.look()
    assert free.take() is None  # slots 0 and 2 still run
    free.give_back(Slot(2))
    assert free.take() == second
    assert said == [
        "slots   3 at once",
        f"slots   paused; another number in {SLOTS_FILE} goes on",
        "slots   2 at once",
    ]


def test_nonsense_in_the_file_is_told_once_and_changes_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    free = FreeSlots([Slot(0)], tmp_path, can_grow=False, say=said.append)
    for text in ("many", "many", "5"):
        (tmp_path / SLOTS_FILE).write_text(text, encoding="utf-8")
        free.look()
        assert free.wanted == 1
    assert said == [f"{tmp_path / SLOTS_FILE}: expected a number of trials at once, got 'many'; they are 1"]
