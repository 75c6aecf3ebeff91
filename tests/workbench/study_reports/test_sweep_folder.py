"""Reading a sweep folder: torn journals, other storages, folders that are none; nothing is written."""

import json
from pathlib import Path

import optuna
import pytest
from sweep_maker import SweepMaker

from cnnlab.errors import UserError
from cnnlab.workbench.study_reports.journal_reader import JournalReader
from cnnlab.workbench.study_reports.sweep_folder import read, run_metrics
from cnnlab.workbench.study_reports.sweep_report import write


@pytest.fixture
def maker(tmp_path: Path) -> SweepMaker:
    maker = SweepMaker(tmp_path / "tinyvgg")
    for value in (0.9, 0.95, 0.92):
        maker.trial({"optimizer.lr": value / 100}, value)
    return maker


def test_what_a_study_is_about(maker: SweepMaker) -> None:
    sweep = read(maker.finish())
    assert (sweep.name, sweep.metrics, sweep.maximize) == ("tinyvgg", ("val/accuracy",), (True,))
    assert [trial.value for trial in sweep.trials] == [0.9, 0.95, 0.92]
    assert sweep.aims == "maximize val/accuracy"


def test_without_the_summary_the_journal_tells_all(maker: SweepMaker) -> None:
    sweep = read(maker.folder)
    assert (sweep.name, sweep.metrics, len(sweep.trials)) == ("tinyvgg", ("val/accuracy",), 3)


@pytest.mark.parametrize("torn", [b'{"op_code":6,"trial_id":0,"sta', b'{"op_code":6', b"\0" * 5000])
def test_a_torn_line_ends_the_reading_and_stays_as_it_is(torn: bytes, maker: SweepMaker) -> None:
    folder = maker.finish()
    journal = folder / "study.journal"
    journal.write_bytes(journal.read_bytes() + torn)
    before = journal.read_bytes()
    assert len(read(folder).trials) == 3
    assert journal.read_bytes() == before


@pytest.mark.parametrize("damage", [b'{"op_code":6}{"op_code"\n', b'{"op_code":6}{"op_code"\n{"op_code":6}\n', b"[]\n"])
def test_damage_before_the_end_is_one_line_and_keeps_the_earlier_report(damage: bytes, maker: SweepMaker) -> None:
    folder = maker.finish()
    write(folder, figures=False)
    before = (folder / "leaderboard.csv").read_bytes()
    journal = folder / "study.journal"
    *lines, last = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines, damage, last]))
    with pytest.raises(
        UserError, match=rf"study.journal is damaged in line {len(lines) + 1} of .*earlier ones are kept"
    ):
        write(folder, figures=False)
    assert (folder / "leaderboard.csv").read_bytes() == before


def test_one_reading_shows_one_moment(maker: SweepMaker) -> None:
    sweep = read(maker.finish())
    maker.trial({"optimizer.lr": 0.1}, 0.99)
    assert len(sweep.study.get_trials()) == len(sweep.trials) == 3


def test_the_study_cannot_be_written_to(maker: SweepMaker) -> None:
    sweep = read(maker.finish())
    with pytest.raises(PermissionError, match="does not write"):
        sweep.study.ask()
    with pytest.raises(PermissionError):
        JournalReader(maker.folder / "study.journal").append_logs([{}])


def test_a_database(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    url = f"sqlite:///{tmp_path / 'study.db'}"
    storage = optuna.storages.RDBStorage(url)
    study = optuna.create_study(study_name="other", storage=storage)
    study.add_trial(optuna.trial.create_trial(value=1.0))
    study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING))
    storage.remove_session()
    storage.engine.dispose()
    verbosity = optuna.logging.get_verbosity()
    (tmp_path / "optimization_results.yaml").write_text(json.dumps({"study_name": "other", "storage": url}))
    sweep = read(tmp_path)
    assert (sweep.name, sweep.maximize, sweep.metrics, len(sweep.trials)) == ("other", (False,), ("value 0",), 2)
    assert optuna.logging.get_verbosity() == verbosity


def test_a_missing_database_is_not_created(tmp_path: Path) -> None:
    results = {"study_name": "x", "storage": f"sqlite:///{tmp_path / 'gone.db'}"}
    (tmp_path / "optimization_results.yaml").write_text(json.dumps(results))
    with pytest.raises(UserError, match=r"no file .*gone\.db"):
        read(tmp_path)
    assert not (tmp_path / "gone.db").exists()


def test_a_wrong_folder_is_told_with_the_nearest(maker: SweepMaker, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no sweep folder .*did you mean tinyvgg"):
        read(tmp_path / "tinyvg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no study in .*expected optimization_results.yaml and study.journal"):
        read(tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []


def test_unreadable_files_are_told_in_one_line(maker: SweepMaker) -> None:
    folder = maker.finish()
    (folder / "optimization_results.yaml").write_text("a: [1\nb: 2")
    with pytest.raises(UserError, match="cannot read .*optimization_results.yaml") as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    maker.finish(study_name="another")
    with pytest.raises(UserError, match="holds no study another"):
        read(folder)


def test_broken_metrics_are_no_metrics(tmp_path: Path) -> None:
    assert run_metrics(tmp_path) == {}
    (tmp_path / "metrics.json").write_text('{"val/accuracy": 0.9')
    assert run_metrics(tmp_path) == {}
    (tmp_path / "metrics.json").write_text('{"val/accuracy": 0.9}')
    assert run_metrics(tmp_path) == {"val/accuracy": 0.9}


def test_a_database_that_cannot_be_opened_is_told_without_the_password(tmp_path: Path) -> None:
    results = {"study_name": "x", "storage": "no-such-dialect://me:secret@host/db"}
    (tmp_path / "optimization_results.yaml").write_text(json.dumps(results))
    with pytest.raises(UserError, match="cannot open no-such-dialect://me@host/db") as caught:
        read(tmp_path)
    assert "secret" not in str(caught.value)


def started_in(cwd: Path, storage: object, folder: Path) -> None:
    """What a search that was started in `cwd` leaves in its folder."""
    folder.mkdir()
    (folder / "multirun.yaml").write_text(json.dumps({"hydra": {"runtime": {"cwd": str(cwd)}}}))
    (folder / "optimization_results.yaml").write_text(json.dumps({"study_name": "tinyvgg", "storage": storage}))


@pytest.mark.parametrize("is_absolute", [False, True])
def test_a_journal_that_lies_elsewhere(is_absolute: bool, maker: SweepMaker, tmp_path: Path) -> None:
    path = "tinyvgg/study.journal"
    started_in(tmp_path, str(tmp_path / path) if is_absolute else path, tmp_path / "sweep")
    assert len(read(tmp_path / "sweep").trials) == 3


@pytest.mark.parametrize("form", ["url", "class", "class as text"])
def test_a_relative_database_is_found_from_any_folder(form: str, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    optuna.create_study(study_name="tinyvgg", storage=storage).add_trial(optuna.trial.create_trial(value=1.0))
    storage.remove_session()
    storage.engine.dispose()
    settings = {"_target_": "optuna.storages.RDBStorage", "url": "sqlite:///study.db"}
    forms = {"url": settings["url"], "class": settings, "class as text": str(settings)}
    started_in(tmp_path, forms[form], tmp_path / "sweep")
    assert len(read(tmp_path / "sweep").trials) == 1


def test_the_study_that_somebody_has_open_is_copied(maker: SweepMaker, tmp_path: Path) -> None:
    """The engine has it open, whatever its storage asks for; and the report still shows one moment."""
    started_in(tmp_path, "postgresql://me:***@nowhere/studies", tmp_path / "sweep")
    sweep = read(tmp_path / "sweep", maker.study)
    maker.trial({"optimizer.lr": 0.1}, 0.99)
    assert (sweep.metrics, len(sweep.trials), len(sweep.study.trials)) == (("val/accuracy",), 3, 3)
