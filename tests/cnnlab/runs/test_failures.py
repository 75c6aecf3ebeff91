"""What a run that has ended too early says about going on."""

from pathlib import Path

import pytest

from cnnlab.runs import failures


@pytest.mark.parametrize(
    ("mode", "is_in_run_folder", "has_advice"),
    [
        ("MULTIRUN", True, False),  # a trial: its search runs it again
        ("MULTIRUN", False, True),  # a run of a grid, or a trial that the user continues
        ("RUN", True, True),  # hydra.run.dir=.
        (None, True, True),
    ],
)
def test_a_run_is_told_how_to_go_on_and_a_trial_is_not(
    mode: str | None, is_in_run_folder: bool, has_advice: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    (run / ".hydra").mkdir(parents=True)
    if mode is not None:
        (run / ".hydra/hydra.yaml").write_text(f"hydra:\n  mode: {mode}\n")
    monkeypatch.chdir(run if is_in_run_folder else tmp_path)
    advice = "; no epoch was finished, so there is nothing to resume" if has_advice else ""
    assert failures.with_advice("a process is lost", run) == f"a process is lost{advice}"


def test_a_damaged_note_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra/hydra.yaml").write_text("hydra: [")
    monkeypatch.chdir(tmp_path)
    assert failures.with_advice("lost", tmp_path).startswith("lost; ")
