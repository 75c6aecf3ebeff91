"""Measurements are found again, under the same circumstances only."""

from pathlib import Path

import pytest

from cnnlab.errors import UserError
from cnnlab.workbench.benchmark.store import Store, fingerprint

CELL = {"device": "cpu", "batch_size": 32}
ROWS = [{"variant": "bare", "repeat": 0, "seconds": 1.0}, {"variant": "template", "repeat": 0, "seconds": 2.0}]


def test_the_fingerprint_is_that_of_the_circumstances_in_any_order() -> None:
    known = {"threads": 2, "versions": {"torch": "2.15"}, "overrides": ("a=1",)}
    assert fingerprint(known) == fingerprint(dict(reversed(known.items())))
    for changed in ({"threads": 1}, {"versions": {"torch": "2.16"}}, {"overrides": ()}):
        assert fingerprint(known | changed) != fingerprint(known)


def test_a_cell_is_found_by_the_next_process_and_by_no_other_circumstances(tmp_path: Path) -> None:
    path = tmp_path / "bench/part.csv"
    store = Store(path, "aaa")
    assert not store.has("one")
    store.put("one", CELL, ROWS)
    again = Store(path, "aaa")
    assert again.has("one")
    assert not again.has("two")
    assert again.rows[["batch_size", "variant", "seconds"]].values.tolist() == [
        [32, "bare", 1.0],
        [32, "template", 2.0],
    ]
    other = Store(path, "bbb")
    assert not other.has("one")
    assert other.rows.empty


def test_a_second_measurement_replaces_the_first_and_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "part.csv"
    for mark in ("aaa", "bbb"):
        for cell in ("one", "two"):
            Store(path, mark).put(cell, CELL, ROWS)
    Store(path, "aaa").put("one", CELL, [{"variant": "bare", "repeat": 0, "seconds": 9.0, "accuracy": 0.5}])
    mine, other = Store(path, "aaa").rows, Store(path, "bbb").rows
    assert mine[mine["cell"] == "one"]["seconds"].tolist() == [9.0]
    assert mine[mine["cell"] == "two"]["seconds"].tolist() == [1.0, 2.0]
    assert other["seconds"].tolist() == [1.0, 2.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("content", "expected"), [("a,b\n1,2\n", "has no column cell, fingerprint"), ("", "cannot be")]
)
def test_another_file_of_that_name_is_refused_and_kept(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "part.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=expected):
        Store(path, "aaa")
    assert path.read_text(encoding="utf-8") == content


def test_marks_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "part.csv"
    Store(path, "0012345678").put("one", CELL, ROWS)
    assert Store(path, "0012345678").has("one")
