"""`python scripts/runs.py`: a list, and nothing is deleted that should stay."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

import fork_server
from cnnlab.runs.locks import AVAILABLE, locked
from conftest import PROJECT, Finished

needs_locks = pytest.mark.skipif(not AVAILABLE, reason="this system has no locks")


@pytest.fixture(autouse=True)
def _an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make(folder: str, **files: str) -> Path:
    """A run folder by hand; files are named by their stems."""
    path = Path(folder)
    (path / ".hydra").mkdir(parents=True)
    (path / ".hydra/config.yaml").write_text("monitor: val/accuracy\n", encoding="utf-8")
    for name, content in files.items():
        (path / f"{name}.{'json' if name == 'metrics' else 'txt'}").write_text(content, encoding="utf-8")
    return path


def finished(folder: str, accuracy: float = 0.9) -> Path:
    return make(folder, metrics=f'{{"val/accuracy": {accuracy}}}')


def runs(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(PROJECT / "scripts/runs.py"), *arguments]
    return fork_server.run(command, env=environment, stdin=subprocess.DEVNULL)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Call the script in this process, at a terminal where the question gets the given answer; its exit status."""
    spec = importlib.util.spec_from_file_location("runs", PROJECT / "scripts/runs.py")
    assert spec is not None
    assert spec.loader is not None
    script: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def call(reply: Callable[[], str], *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["runs.py", *arguments])
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)

        def asked(question: str) -> str:
            print(question)
            return reply()

        monkeypatch.setattr("builtins.input", asked)
        try:
            script.main()
        except SystemExit as stop:
            if isinstance(stop.code, str):
                print(stop.code, file=sys.stderr)
            return stop.code if isinstance(stop.code, int) else 1
        return 0

    return call


def raising(error: BaseException) -> Callable[[], str]:
    def reply() -> str:
        raise error

    return reply


def test_a_real_run(smoke: Callable[..., Finished], environment: dict[str, str]) -> None:
    folder = smoke().folder
    assert folder is not None
    done = runs(environment)
    assert (done.returncode, done.stderr) == (0, "")
    heading, _, row = done.stdout.splitlines()
    assert heading == "In outputs/runs:"
    assert row.split()[:3] == [folder.name, "mnist-5k", "TinyVGG"]
    assert row.split()[-1] == "finished"
    assert runs(environment, "--delete", "--yes").returncode == 0
    assert not folder.exists()
    assert folder.parent.is_dir()


def test_default_folders_filter_sort_and_csv(environment: dict[str, str]) -> None:
    for number, place in enumerate(["outputs/runs/a", "outputs/multiruns/g/0", "outputs/seeds/s/3"]):
        folder = finished(place, accuracy=[0.8, 0.9, 0.7][number])
        os.utime(folder / "metrics.json", (1e9 + number, 1e9 + number))
        os.utime(folder / ".hydra/config.yaml", (1e9, 1e9))
    make("outputs/runs/stopped")
    finished("outputs/sweeps/tinyvgg/0")  # its own report lists these
    finished("elsewhere/b")

    def names(*arguments: str) -> list[str]:
        done = runs(environment, *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return [line.split()[0] for line in done.stdout.splitlines()[2:]]

    assert names() == ["runs/a", "multiruns/g/0", "seeds/s/3", "runs/stopped"]
    assert names("--sort", "accuracy") == ["runs/stopped", "seeds/s/3", "runs/a", "multiruns/g/0"]
    assert names("--state", "interrupted") == ["stopped"]
    assert names("elsewhere", "--csv", "table.csv") == ["b"]
    assert Path("table.csv").read_text(encoding="utf-8").splitlines()[1].startswith("elsewhere/b,finished,")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "No runs in outputs/runs, outputs/multiruns, outputs/seeds: python train.py makes one"),
        (["--delete"], "No runs in outputs/runs"),
        (["--state", "failed", "here"], "No failed runs in here"),
    ],
)
def test_nothing_there(arguments: list[str], words: str, environment: dict[str, str]) -> None:
    finished("here/a")
    done = runs(environment, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(words)
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["outputs/rums"], "error: no folder outputs/rums; did you mean runs?"),
        (["--yes"], "--yes is for --delete"),
        (["--state", "done"], "invalid choice: 'done'"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], words: str, environment: dict[str, str]) -> None:
    finished("outputs/runs/a")
    done = runs(environment, *arguments)
    assert done.returncode != 0
    assert words in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_without_a_terminal_nothing_is_deleted(environment: dict[str, str]) -> None:
    folder = finished("outputs/runs/a")
    done = runs(environment, "--delete")
    assert done.returncode == 1
    assert (
        done.stderr == "error: nothing was deleted, for there is no terminal to ask at; --yes deletes without asking\n"
    )
    assert folder.is_dir()


@pytest.mark.parametrize("reply", ["y", "YES", " yes "])
def test_after_a_yes(reply: str, answer: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    folders = [finished(f"outputs/runs/{name}") for name in "ab"]
    (folders[0] / "big").write_bytes(bytes(2_500_000))
    kept = make("outputs/runs/stopped")
    assert answer(lambda: reply, "--delete", "--state", "finished") == 0
    out = capsys.readouterr().out
    assert "Delete these 2 folders (2.5 MB)? [y/N]" in out
    assert out.splitlines()[-1] == "Deleted 2 of 2 (2.5 MB)."
    assert list(Path("outputs/runs").iterdir()) == [kept]


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (lambda: "", 0),
        (lambda: "n", 0),
        (lambda: "yep", 0),
        (raising(EOFError()), 1),
        (raising(KeyboardInterrupt()), 130),
    ],
)
def test_after_any_other_answer_nothing_is_deleted(
    reply: Callable[[], str], status: int, answer: Callable[..., int]
) -> None:
    folder = finished("outputs/runs/a")
    assert answer(reply, "--delete") == status
    assert (folder / "metrics.json").is_file()


@needs_locks
def test_what_runs_stays(environment: dict[str, str]) -> None:
    working, done = make("outputs/runs/working"), finished("outputs/runs/done")
    with locked(working):
        deleted = runs(environment, "--delete", "--yes")
        assert deleted.returncode == 0
        assert "1 still running: not to be deleted." in deleted.stdout
        assert "Deleted 1 of 1 (" in deleted.stdout
        assert (working.is_dir(), done.exists()) == (True, False)
        assert runs(environment, "--delete", "--yes").returncode == 0
        assert working.is_dir()
    assert runs(environment, "--delete", "--yes").returncode == 0
    assert not working.exists()


@needs_locks
def test_what_was_resumed_while_the_question_stood_there_stays(
    answer: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    resumed, finished_since, other = (make(f"outputs/runs/{name}") for name in "abc")
    lock = ExitStack()

    def reply() -> str:
        assert lock.enter_context(locked(resumed))
        (finished_since / "metrics.json").write_text("{}", encoding="utf-8")
        return "y"

    with lock:
        assert answer(reply, "--delete") == 1
    assert (resumed.is_dir(), finished_since.is_dir(), other.exists()) == (True, True, False)
    captured = capsys.readouterr()
    assert "kept outputs/runs/a: it was interrupted and is running" in captured.err
    assert "kept outputs/runs/b: it was interrupted and is finished" in captured.err
    assert "Deleted 1 of 3 (" in captured.out


def test_links_are_not_followed(environment: dict[str, str]) -> None:
    elsewhere, run = finished("elsewhere/x"), finished("outputs/runs/a")
    (run / "checkpoints").symlink_to(elsewhere.absolute())
    Path("outputs/runs/link").symlink_to(elsewhere.absolute())
    assert runs(environment, "--delete", "--yes").returncode == 0
    assert not run.exists()
    assert (elsewhere / "metrics.json").is_file()
    kept = runs(environment, "--delete", "--yes", "outputs/runs/link")
    assert kept.returncode == 1
    assert "symbolic link" in kept.stderr
    assert (elsewhere / "metrics.json").is_file()


def test_grids_that_were_emptied_go_and_tables_of_seeds_stay(environment: dict[str, str]) -> None:
    for place in ("multiruns/g/0", "multiruns/g/1", "multiruns/half/0", "seeds/s/0", "seeds/plain/0"):
        finished(f"outputs/{place}")
    stopped = make("outputs/multiruns/half/1")
    for note in ("multiruns/g/multirun.yaml", "multiruns/half/multirun.yaml", "seeds/s/seeds.csv"):
        Path("outputs", note).touch()
    assert runs(environment, "--delete", "--yes", "--state", "finished").returncode == 0
    assert sorted(str(path) for path in Path("outputs").glob("*/*")) == ["outputs/multiruns/half", "outputs/seeds/s"]
    assert stopped.is_dir()
    assert Path("outputs/multiruns/half/multirun.yaml").is_file()
    assert Path("outputs/seeds/s/seeds.csv").is_file()


def test_folders_that_were_named_stay(environment: dict[str, str]) -> None:
    finished("outputs/multiruns/g/0")
    assert runs(environment, "--delete", "--yes", "outputs/multiruns/g").returncode == 0
    assert list(Path("outputs/multiruns/g").iterdir()) == []


@pytest.mark.parametrize("mark", ["study.journal", "optimization_results.yaml"])
def test_trials_of_a_search_stay(mark: str, environment: dict[str, str]) -> None:
    trial, run = finished("outputs/sweeps/mine/0"), finished("outputs/runs/a")
    Path("outputs/sweeps/mine", mark).touch()
    done = runs(environment, "--delete", "--yes", "outputs")
    assert done.returncode == 1
    assert "error: outputs/sweeps/mine/0 is a trial of a search" in done.stderr
    assert trial.is_dir()
    assert run.is_dir()
