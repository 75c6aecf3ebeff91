"""Run folders are found by their name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cnnlab.errors import UserError
from cnnlab.runs.run_folder import find
from conftest import Finished


def test_a_folder_of_runs_names_one_of_them(tmp_path: Path) -> None:
    """A trial of a search with several seeds holds a run for each."""
    for seed in (0, 1):
        (tmp_path / f"seed_{seed}" / ".hydra").mkdir(parents=True)
        (tmp_path / f"seed_{seed}" / ".hydra" / "config.yaml").touch()
    with pytest.raises(UserError, match=r"is not a run folder .*; it holds some, such as .*seed_0$"):
        find(tmp_path)
    assert find(tmp_path / "seed_1") == tmp_path / "seed_1"


def test_of_two_that_name_one_folder_in_the_same_moment_the_second_leaves_it_as_it_is(
    smoke: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnlab.runs.run_folder.refuse_used", lambda overrides: None)  # both look before either begins
    first = smoke("hydra.run.dir=same", "seed=1", "model=linear")
    assert first.status == 0, first.err
    before = {path: path.read_bytes() for path in (tmp_path / "same").rglob("*") if path.is_file()}
    second = smoke("hydra.run.dir=same", "seed=2", "model=linear")
    assert (second.status, second.err) == (
        1,
        "error: hydra.run.dir=same holds a run that another process has just begun; name another folder\n",
    )
    assert {path: path.read_bytes() for path in (tmp_path / "same").rglob("*") if path.is_file()} == before
