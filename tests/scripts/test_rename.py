"""`make rename`: the whole project under another name still runs, and a bad name changes nothing."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import fork_server
from conftest import PROJECT, SMOKE

OLD = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
NEW, OTHER = [name for name in ("mylab", "yourlab", "theirlab") if name != OLD][:2]
LIST = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]


def copy_of_the_project(folder: Path) -> Path:
    listed = subprocess.run(LIST, cwd=PROJECT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("git does not know this project")
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    return folder


def small_project(folder: Path) -> Path:
    """What scripts/rename.py itself needs, and nothing else."""
    needed = [
        f"src/{OLD}/{name}"
        for name in (
            *("__init__.py", "errors.py", "cli/__init__.py", "cli/console.py", "data/__init__.py"),
            *("data/files/__init__.py", "data/files/locations.py", "runs/__init__.py", "runs/atomic.py"),
        )
    ]
    for name in [*needed, "scripts/rename.py", "pyproject.toml", ".gitignore"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, folder / name)
    return folder


def rename(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(project / "scripts/rename.py"), *arguments]
    return run(command, project)


def run(command: list[str], project: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(project / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop(f"{OLD.upper()}_DATA_DIR", None)
    return fork_server.run(command, cwd=project, env=environment)


def contents(project: Path) -> dict[str, bytes]:
    paths = (path for path in project.rglob("*") if not {".git", ".ruff_cache"} & set(path.parts))
    return {str(path.relative_to(project)): path.read_bytes() for path in paths if path.is_file()}


def mentions(project: Path, name: str) -> list[str]:
    """Where the name still stands, in a text or a path, in whatever case; a name like lab is no part of label."""
    word = re.compile(rf"(?<![a-z0-9]){name}(?![a-z0-9])".encode(), re.IGNORECASE)
    return [path for path, content in contents(project).items() if word.search(path.encode() + b" " + content)]


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = copy_of_the_project(tmp_path_factory.mktemp("renamed"))
    done = rename(project, NEW)
    assert (done.returncode, done.stderr) == (0, "")
    assert "make setup" in done.stdout
    return project


def test_the_old_name_is_nowhere(renamed: Path) -> None:
    assert mentions(renamed, OLD) == []
    assert sorted(path.name for path in (renamed / "src").iterdir()) == sorted(["async_optuna", "hydra_plugins", NEW])


def test_lint_is_content(renamed: Path) -> None:
    for command in (["check", "--ignore", "E501"], ["format", "--check"]):  # a long name makes some lines too long
        done = run([sys.executable, "-m", "ruff", *command, "."], renamed)
        assert done.returncode == 0, done.stdout


def test_it_trains(renamed: Path) -> None:
    done = run([sys.executable, "train.py", *SMOKE], renamed)
    assert done.returncode == 0, done.stderr
    assert len(list(renamed.glob("outputs/runs/*/metrics.json"))) == 1
    assert f"{NEW.upper()}_DATA_DIR" in done.stdout  # where the warning says that the data may lie
    shutil.rmtree(renamed / "outputs")


def test_the_environment_variable(renamed: Path) -> None:
    code = f"from {NEW}.data.files import locations; print(locations.ENVIRONMENT_VARIABLE)"
    assert run([sys.executable, "-c", code], renamed).stdout == f"{NEW.upper()}_DATA_DIR\n"


def test_a_second_rename_gives_what_the_first_would_have_given(tmp_path: Path) -> None:
    twice, once = small_project(tmp_path / "twice"), small_project(tmp_path / "once")
    for project, name in ((twice, NEW), (twice, OTHER), (once, OTHER)):
        assert rename(project, name).returncode == 0
    assert mentions(twice, OLD) == mentions(twice, NEW) == []
    for project in (twice, once):
        (project / "scripts/rename.py").unlink()  # its example of a name may be one of these
    assert contents(twice) == contents(once)


@pytest.mark.parametrize("with_git", [True, False])
def test_bytes_modes_and_what_is_no_part_of_the_project(with_git: bool, tmp_path: Path) -> None:
    project = small_project(tmp_path)
    if with_git:
        subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    word = OLD.encode()
    kept = {
        "a.bin": b"\0" + word,
        ".venv/x.py": word,
        "outputs/runs/0/x.yaml": word,
        "near.txt": b"x" + word + b", " + word + b"s",
    }
    for name, content in {**kept, "crlf.txt": b"# " + word + b"\r\n\xe9\r\n", ".venv/pyvenv.cfg": b""}.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(content)
    tool = project / f".ci/run_{OLD}"
    tool.parent.mkdir()
    tool.write_text(f"export {OLD.upper()}_X=1 PATH=src/{OLD}\n", encoding="utf-8")
    tool.chmod(0o755)
    for stale in (f"src/{OLD}.egg-info", f"src/{OLD}/__pycache__", f"src/{OLD}/data/__pycache__"):
        (project / stale).mkdir()
        (project / stale / "x").write_bytes(word)

    done = rename(project, NEW)
    assert (done.returncode, done.stderr) == (0, "")
    after = contents(project)
    assert {name: after[name] for name in kept} == kept
    assert after["crlf.txt"] == b"# " + NEW.encode() + b"\r\n\xe9\r\n"
    assert after[f".ci/run_{NEW}"].decode() == f"export {NEW.upper()}_X=1 PATH=src/{NEW}\n"
    assert os.access(project / f".ci/run_{NEW}", os.X_OK)
    assert not (project / f".ci/run_{OLD}").exists()
    assert [path.name for path in (project / "src").iterdir()] == [NEW]
    assert list((project / "src").rglob("__pycache__")) == []


def test_a_failure_on_the_way_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = small_project(tmp_path)
    before = contents(project)
    script = loaded(project / "scripts/rename.py")
    write = script.write_atomically

    def full_disk(path: Path, content: bytes) -> None:
        if path.name == "pyproject.toml" and NEW.encode() in content:
            raise OSError(28, "No space left on device", str(path))
        write(path, content)

    monkeypatch.setattr(script, "write_atomically", full_disk)
    with pytest.raises(OSError, match="No space left"):
        script.rename(OLD, NEW, script.project_files())
    monkeypatch.setattr(script, "write_atomically", write)
    monkeypatch.setattr(Path, "rename", full_disk_at_the_move)
    with pytest.raises(OSError, match="No space left"):
        script.rename(OLD, NEW, script.project_files())
    assert contents(project) == before


def full_disk_at_the_move(path: Path, target: Path) -> None:
    raise OSError(28, "No space left on device", str(path))


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no name was given; for example: make rename NAME=mylab"),
        ([""], "no name was given"),
        (["my-lab"], "got 'my-lab'; did you mean my_lab?"),
        (["MyLab"], "got 'MyLab'; did you mean mylab?"),
        (["9lab"], "got '9lab'; did you mean lab?"),
        (["_lab"], "a letter first, got '_lab'"),
        (["../lab"], "got '../lab'; did you mean lab?"),
        (["class"], "class is a keyword or module of Python"),
        (["json"], "json is a keyword or module of Python"),
        (["conf"], "the project has a conf already"),
        (["train"], "the project has a train.py already"),
        (["report"], "the project has a scripts/report.py already"),
        (["hydra_plugins"], "the project has a src/hydra_plugins already"),
        (["torch"], "a package torch is installed"),
        (["test"], "a package test is installed"),
        (["model"], "model is a word of the code (conf/train.yaml, line "),
        ([OLD], f"the project is called {OLD} already"),
    ],
)
def test_a_bad_name_is_refused(arguments: list[str], words: str, project: Path) -> None:
    before = contents(project)
    done = rename(project, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert contents(project) == before


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = small_project(tmp_path_factory.mktemp("project"))
    for name in ("train.py", "conf/train.yaml", "scripts/report.py"):
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy2(PROJECT / name, project / name)
    (project / "src/hydra_plugins").mkdir()
    return project


def test_make_passes_the_name_on() -> None:
    if shutil.which("make") is None:
        pytest.skip("no make")
    for given, expected in (([f"NAME={NEW}"], NEW), ([], "")):
        command = ["make", "--no-print-directory", "-n", "rename", f"RUN={sys.executable}", *given]
        environment = os.environ | {"NAME": "of_the_computer"}
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, env=environment, check=True)
        assert done.stdout.endswith(f'scripts/rename.py "{expected}"\n')
