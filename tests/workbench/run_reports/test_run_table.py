"""The list of runs: right numbers from real folders, and none that one damaged folder could hide."""

import csv
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cnnlab.errors import UserError
from cnnlab.runs.locks import AVAILABLE, locked
from cnnlab.workbench.run_reports import run_table
from conftest import Finished

CONFIG = """
monitor: {monitor}
model: {{_target_: some.package.TinyVGG}}
data: {{_target_: some.package.MNIST}}
trainer: {{max_epochs: 5}}
"""


def make(folder: Path, monitor: str = "val/accuracy", **files: str) -> Path:
    """A run folder by hand; files are named by their stems."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/config.yaml").write_text(CONFIG.format(monitor=monitor), encoding="utf-8")
    suffixes = {"metrics": "json", "environment": "json", "error": "txt", "traceback": "txt", "train": "log"}
    for name, content in files.items():
        (folder / f"{name}.{suffixes[name]}").write_text(content, encoding="utf-8")
    return folder


def finished(folder: Path, **numbers: float) -> Path:
    metrics = {"dataset": "mnist", "model": "LeNet5", "epochs": 5, "val/accuracy": 0.99, "test/accuracy": 0.985}
    return make(folder, metrics=json.dumps({**metrics, **numbers}))


def changed(folder: Path, seconds_ago: float) -> Path:
    then = time.time() - seconds_ago
    for path in folder.rglob("*"):
        os.utime(path, (then, then))
    return folder


def lines(*folders: Path, width: int = 150) -> list[list[str]]:
    """Cells of the table, by what at least two spaces part."""
    text = run_table.runs_table([run_table.read(folder) for folder in folders], width)
    return [[cell.strip() for cell in line.split("  ") if cell] for line in text.splitlines()]


def test_a_real_run(smoke: Callable[..., Finished]) -> None:
    done = smoke("trainer.max_epochs=2")
    assert done.folder is not None
    (folder,) = run_table.find([Path("outputs/runs")])
    run = run_table.read(folder)
    assert folder == Path("outputs/runs") / done.folder.name
    assert (run.state, run.data, run.model, run.note) == ("finished", "mnist-5k", "TinyVGG", "")
    assert (run.metric, run.val, run.test) == ("accuracy", done.metrics["val/accuracy"], done.metrics["test/accuracy"])
    assert (run.epochs, run.max_epochs) == (2, 2)
    assert run.size == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert 0 <= time.time() - run.changed < 60

    (folder / "metrics.json").unlink()  # as if it had been stopped at the end
    run = run_table.read(folder)
    assert (run.state, run.data, run.val, run.epochs) == ("interrupted", "mnist-5k", None, 2)  # epochs from train.log


def test_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = changed(finished(Path("outputs/runs/a")), 3 * 3600 + 10)
    (first / "evaluation").mkdir()
    (first / "evaluation/later").touch()  # an evaluation does not make a run younger
    second = changed(make(Path("outputs/runs/b")), 30)
    assert lines(first, second) == [
        ["In outputs/runs:"],
        ["run", "data", "model", "val", "test", "epochs", "age", "size", "state"],
        ["a", "mnist", "LeNet5", "99.00%", "98.50%", "5/5", "3 h", "0.0 MB", "finished"],
        ["b", "MNIST", "TinyVGG", "-/5", "30 s", "0.0 MB", "interrupted"],
    ]
    other = finished(Path("outputs/seeds/x/0"))
    assert [line[0] for line in lines(first, other)] == ["In outputs:", "run", "runs/a", "seeds/x/0"]


def test_states(tmp_path: Path) -> None:
    def state(folder: Path) -> str:
        return run_table.read(folder).state

    assert state(make(tmp_path / "interrupted")) == "interrupted"
    assert state(finished(tmp_path / "finished")) == "finished"
    assert state(make(tmp_path / "failed", error="no memory")) == "failed"
    assert state(make(tmp_path / "crashed", traceback="Traceback\nValueError: x")) == "failed"
    assert state(make(tmp_path / "resumed", error="no memory", metrics="{}")) == "finished"


@pytest.mark.skipif(not AVAILABLE, reason="this system has no locks")
def test_a_run_that_goes_on_is_running_whatever_it_left_before(tmp_path: Path) -> None:
    folder = make(tmp_path / "again", error="no memory")
    with locked(folder):
        assert run_table.read(folder).state == "running"
    assert run_table.read(folder).state == "failed"


def test_notes_say_why_a_run_failed_and_fit_the_terminal(tmp_path: Path) -> None:
    error = make(tmp_path / "a", error=f"out of GPU memory {'x' * 200}\nsecond line", traceback="ValueError: later")
    crash = make(tmp_path / "b", traceback="Traceback (most recent call last):\n  File\nValueError: bad  shape\n\n")
    fine = make(tmp_path / "c")
    header, *rows = lines(error, crash, fine, width=150)[1:]
    assert header[-1] == "note"
    assert [row[-1] for row in rows[1:]] == ["ValueError: bad shape", "interrupted"]
    assert rows[0][-1].startswith("out of GPU memory xxx")
    assert rows[0][-1].endswith("x…")
    for width, longest in ((150, 150), (60, 110)):
        text = run_table.runs_table([run_table.read(folder) for folder in (error, crash)], width)
        assert max(map(len, text.splitlines())) <= longest


def test_a_run_without_accuracy_shows_what_it_monitored(tmp_path: Path) -> None:
    metrics = json.dumps({"val/mse": 0.12345, "test/mse": 2.5, "val/loss": 7.0, "epochs": 3})
    run = run_table.read(make(tmp_path / "a", monitor="val/mse", metrics=metrics))
    assert (run.metric, run.val, run.test) == ("mse", 0.12345, 2.5)
    assert lines(run.folder)[-1][1:6] == ["MNIST", "TinyVGG", "mse 0.1235", "mse 2.5000", "3/5"]
    overfit = make(tmp_path / "b", monitor="train/accuracy", metrics='{"train/accuracy": 1.0, "epochs": 3}')
    assert lines(overfit)[-1][3:5] == ["train 100.00%", "3/5"]


@pytest.mark.parametrize("name", ["metrics.json", "environment.json", ".hydra/config.yaml"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe\x00", b"null", b"!!int ''", b"a: &a [*a"])
def test_a_damaged_file_is_named_and_hides_nothing(name: str, content: bytes, tmp_path: Path) -> None:
    folder = finished(tmp_path / "damaged")
    (folder / name).write_bytes(content)
    runs = [run_table.read(path) for path in (folder, finished(tmp_path / "fine"))]
    assert runs[0].note == f"cannot read {Path(name).name}"
    assert runs[1].note == ""
    assert len(run_table.runs_table(runs, 100).splitlines()) == 4


def test_values_of_another_type_than_expected(tmp_path: Path) -> None:
    metrics = '{"dataset": 3, "model": null, "epochs": "x", "val/accuracy": NaN, "test/accuracy": [1]}'
    folder = make(tmp_path / "a", metrics=metrics)
    (folder / ".hydra/config.yaml").write_text("monitor: 7\nmodel: vgg\ndata: null\ntrainer: []\n", encoding="utf-8")
    run = run_table.read(folder)
    assert (run.data, run.model, run.val, run.test, run.epochs, run.max_epochs) == ("", "", None, None, None, None)
    assert run_table.runs_table([run], 100)


def test_epochs_of_a_run_that_was_stopped_are_in_its_log(tmp_path: Path) -> None:
    log = "".join(f"[t][package.callbacks.progress][INFO] epoch {i:>2}/50  val/loss 1\n" for i in (1, 2))
    assert run_table.read(make(tmp_path / "a", train=log)).epochs == 2
    assert run_table.read(make(tmp_path / "b", train=f"{'long ' * 30_000}\n{log.replace('/50', '')}")).epochs == 2
    assert run_table.read(make(tmp_path / "c", train="[t][x][INFO] data\n")).epochs == 0
    assert run_table.read(make(tmp_path / "d")).epochs is None


def test_find(tmp_path: Path) -> None:
    grid = tmp_path / "multiruns/g"
    for number in range(2):
        finished(grid / str(number))
    finished(grid / "0/nested")  # part of run 0
    (tmp_path / "elsewhere").mkdir()
    finished(tmp_path / "elsewhere/x")
    (tmp_path / "multiruns/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "multiruns/empty").mkdir()
    assert sorted(run_table.find([tmp_path / "multiruns", grid, grid / "1"])) == [grid / "0", grid / "1"]
    assert run_table.find([grid / "1", grid / "0/../1"]) == [grid / "1"]
    with pytest.raises(UserError, match=r"no folder .*multirun; did you mean multiruns\?"):
        run_table.find([tmp_path / "multirun"])


def test_orders(tmp_path: Path) -> None:
    old = changed(finished(tmp_path / "old", **{"val/accuracy": 0.9}), 100)
    older = changed(finished(tmp_path / "older", **{"val/accuracy": 0.8, "test/accuracy": 1.0}), 200)
    new = make(tmp_path / "new")
    mse = changed(make(tmp_path / "mse", monitor="val/mse", metrics='{"val/mse": 9}'), 300)
    runs = [run_table.read(folder) for folder in (old, new, older, mse)]
    assert [run.folder for run in sorted(runs, key=run_table.by_age)] == [mse, older, old, new]
    assert [run.folder for run in sorted(runs, key=run_table.by_accuracy)] == [mse, new, older, old]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172799, "47 h"), (432000, "5 d")],
)
def test_ages(seconds: float, text: str) -> None:
    assert run_table.shown_age(seconds) == text


def test_csv(tmp_path: Path) -> None:
    runs = [run_table.read(finished(tmp_path / "a")), run_table.read(make(tmp_path / "b, c", error='said "no"'))]
    first, second = csv.DictReader(io.StringIO(run_table.as_csv(runs).decode()))
    assert first["run"] == str(tmp_path / "a")
    assert (first["metric"], first["val"], first["test"], first["epochs"]) == ("accuracy", "0.99", "0.985", "5")
    assert int(first["size_bytes"]) == runs[0].size
    assert (second["run"], second["state"], second["note"]) == (str(tmp_path / "b, c"), "failed", 'said "no"')
