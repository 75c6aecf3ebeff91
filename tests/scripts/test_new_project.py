"""`make new`: with every combination of parts a whole project under its own name, and a mistake leaves nothing."""

import ast
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from types import ModuleType

import pytest

from cnnlab.errors import UserError
from conftest import PROJECT
from test_layering import lines_of_code

SPEC = importlib.util.spec_from_file_location("new_project", PROJECT / "scripts/new_project.py")
assert SPEC is not None
assert SPEC.loader is not None
new_project: ModuleType = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(new_project)

NAME = "yourlab" if new_project.present_name() == "mylab" else "mylab"
ALL = " ".join(new_project.CHOICES)
COMBINATIONS = [keep for size in range(4) for keep in combinations(new_project.CHOICES, size)]
WORD = re.compile(r"[\w./=-]+")
Make = Callable[[tuple[str, ...]], Path]


@pytest.fixture(autouse=True, scope="module")
def _a_repository() -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("git does not know this project")


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The project with these parts; each is written once."""
    made: dict[tuple[str, ...], Path] = {}

    def write(keep: tuple[str, ...]) -> Path:
        if keep not in made:
            made[keep] = tmp_path_factory.mktemp("new") / NAME
            new_project.write_project(NAME, made[keep], set(keep))
        return made[keep]

    return write


def names_of(keep: tuple[str, ...]) -> str:
    return " ".join(keep) or "nothing"


# --- The parts -------------------------------------------------------------------------------------------------------


def test_every_file_belongs_to_exactly_one_part() -> None:
    files = [path.relative_to(PROJECT).as_posix() for path in new_project.project_files()]
    used = set()
    for path in files:
        fits = [found for found in new_project.patterns() if new_project.fits_pattern(path, found[1])]
        assert fits, f"{path} is in no part: sort it into scripts/parts.toml"
        longest = max(len(pattern) for _, pattern in fits)
        best = [found for found in fits if len(found[1]) == longest]
        assert len(best) == 1, f"{path} is in several parts: {best}"
        used.update(best)
    assert [found for found in new_project.patterns() if found not in used] == []


def test_the_marks_in_files_are_pairs_and_name_parts() -> None:
    known = {*new_project.CHOICES, "never"}
    for path in new_project.project_files():
        content = path.read_bytes()
        if b"\0" in content or path.name == "new_project.py":
            continue
        depth = 0
        for number, line in enumerate(content.decode("utf-8").splitlines(keepends=True), 1):
            mark = new_project.BEGIN.fullmatch(line) or new_project.MARKED.fullmatch(line)
            condition = mark[1 if new_project.BEGIN.fullmatch(line) else 2] if mark else ""
            assert set(re.split(" and | or ", condition)) <= known | {""}, f"{path}, line {number}"
            depth += bool(new_project.BEGIN.fullmatch(line)) - bool(new_project.END.fullmatch(line))
            assert depth >= 0, f"{path}, line {number}"
        assert depth == 0, path


@pytest.mark.parametrize(
    ("row", "keep"),
    [("nothing", ""), ("`sweep`", "sweep"), ("`workbench`", "workbench"), ("`zoo`", "zoo"), ("all three", ALL)],
)
def test_contributing_says_how_large_a_project_is(row: str, keep: str) -> None:
    """The code is what a person reads: not the tests, nor the configs. The numbers may be a tenth off."""
    kept = [path for path in new_project.project_files() if is_code(path) and is_kept(path, set(keep.split()))]
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    cells = re.search(rf"^\| {row} \|[^|]*\| ([\d,]+) \| ([\d,]+) \|$", text, re.MULTILINE)
    assert cells is not None
    files, lines = (int(cell.replace(",", "")) for cell in cells.groups())
    assert files == pytest.approx(len(kept), rel=0.1)
    assert lines == pytest.approx(sum(map(lines_of_code, kept)), rel=0.1)


def is_code(path: Path) -> bool:
    return path.suffix == ".py" and path.relative_to(PROJECT).parts[0] != "tests"


def is_kept(path: Path, keep: set[str]) -> bool:
    return bool(new_project.holds(new_project.condition_of(path.relative_to(PROJECT).as_posix()), keep))


# --- Mistakes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    """A folder that must be as empty after the test as it was before."""
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def refused(*arguments: str) -> str:
    """Run the command and return the line that refuses it."""
    command = [sys.executable, str(PROJECT / "scripts/new_project.py"), *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)  # needs no slow library
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    return str(line)


def test_a_part_that_is_not_there_is_told_with_the_nearest(empty: Path) -> None:
    line = refused(NAME, str(empty / "new"), "--keep", "sweeps")
    assert line == "error: no part 'sweeps'; did you mean sweep?; choose from sweep, workbench, zoo"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "no name was given; for example: make new NAME=mylab DIR=../mylab"),
        (
            "My-Lab",
            "the name must be lower-case letters, digits and _, a letter first, got 'My-Lab'; did you mean my_lab?",
        ),
        ("1lab", "a letter first, got '1lab'; did you mean lab?"),
        ("lab_", "got 'lab_'; did you mean lab?"),
        ("class", "class is a keyword or module of Python"),
        ("json", "json is a keyword or module of Python"),
        ("torch", "torch"),
        ("tests", "tests is there already"),
        ("async_optuna", "src/async_optuna is there already"),
        ("batch", "batch is a word of the code"),
        (new_project.present_name(), "is the name of this project"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, message: str, empty: Path) -> None:
    with pytest.raises(UserError) as raised:
        new_project.write_project(name, empty / "new", set())
    assert message in str(raised.value)


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    for folder in (tmp_path, tmp_path / "mine"):
        with pytest.raises(UserError, match=f"^{folder} is there already; name a folder that is not$"):
            new_project.write_project(NAME, folder, set())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine").read_text() == "mine"
    with pytest.raises(UserError, match="lies inside this project"):
        new_project.write_project(NAME, PROJECT / "outputs/mine", set())
    with pytest.raises(UserError, match="cannot write .*below: (File exists|Not a directory)"):
        new_project.write_project(NAME, tmp_path / "mine/below", set())


@pytest.mark.parametrize("step", ["tidy", "first_commit"])
def test_a_failure_on_the_way_leaves_nothing(step: str, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(new_project, step, fail)
    with pytest.raises(KeyboardInterrupt):
        new_project.write_project(NAME, empty / "new", set())


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_passes_on_what_was_typed_and_nothing_of_the_computers() -> None:
    plan = ["make", "--no-print-directory", "-n", "new", f"RUN={sys.executable}"]
    environment = os.environ | {"NAME": "of_the_computer", "DIR": "x", "KEEP": "sweep"}
    for given, expected in (
        (["NAME=mylab", "DIR=../my lab", "KEEP=sweep zoo"], '"mylab" "../my lab" --keep "sweep zoo"\n'),
        ([], '"" "" --keep ""\n'),
    ):
        done = subprocess.run([*plan, *given], cwd=PROJECT, capture_output=True, text=True, env=environment, check=True)
        assert done.stdout.endswith(f"scripts/new_project.py {expected}")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of this project's files, nothing of it committed, from which new projects are written."""
    clone = tmp_path / "clone"
    for path in new_project.project_files():
        target = clone / path.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    subprocess.run(["git", "init", "-q"], cwd=clone, check=True)
    subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
    monkeypatch.setattr(new_project, "PROJECT", clone)
    return clone


def test_files_of_ones_own_and_changes_that_are_not_committed_go_along(clone: Path, tmp_path: Path) -> None:
    (clone / "notes/mine.md").parent.mkdir()
    (clone / "notes/mine.md").write_text("of cnnlab\n")
    (clone / "notes/old.txt").write_bytes("cnnlab für".encode("latin-1"))
    (clone / "src/cnnlab/schedules.py").unlink()
    (clone / "src/cnnlab/models/own.py").write_text("import cnnlab\n\nOWN = cnnlab\n")
    script = b"python scripts/export.py outputs/mine\r\n\r\n\r\npython train.py model=resnet\r\n"
    (clone / "notes/all.bat").write_bytes(script)
    (clone / "notes/link").symlink_to("all.bat")
    new_project.write_project("mylab", tmp_path / "new", set())
    assert (tmp_path / "new/notes/all.bat").read_bytes() == script
    assert not (tmp_path / "new/notes/link").is_symlink()
    assert (tmp_path / "new/notes/mine.md").read_text() == "of mylab\n"
    assert (tmp_path / "new/src/mylab/models/own.py").read_text() == "import mylab\n\nOWN = mylab\n"
    assert (tmp_path / "new/notes/old.txt").read_bytes() == "cnnlab für".encode("latin-1")
    assert not (tmp_path / "new/src/mylab/schedules.py").exists()


HOSTILE = """
[user]
    email = ann@example.org
    useConfigOnly = true
[commit]
    gpgSign = true
[gpg]
    program = false
[core]
    hooksPath = {folder}
    excludesFile = {folder}/ignored
    autocrlf = true
    safecrlf = true
"""


def test_git_has_settings_and_variables_of_the_users(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signatures, hooks and ignored names; and GIT_DIR, which a hook has, must not bring the commit elsewhere."""
    settings, around = tmp_path / "settings", tmp_path / "around"
    settings.mkdir()
    around.mkdir()
    (settings / "ignored").write_text("*.yaml\nLICENSE\n")
    (settings / "prepare-commit-msg").write_text("#!/bin/sh\nexit 1\n")
    (settings / "prepare-commit-msg").chmod(0o755)
    (settings / "config").write_text(HOSTILE.format(folder=settings))
    subprocess.run(["git", "init", "-q"], cwd=around, check=True)
    (around / ".gitignore").write_text("*\n")
    with monkeypatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(settings / "config"))
        patch.setenv("GIT_DIR", str(clone / ".git"))
        patch.setenv("GIT_INDEX_FILE", str(settings / "index"))
        num_files = new_project.write_project(NAME, around / "new", set())
    new = ["git", "-C", str(around / "new")]
    listed = subprocess.run([*new, "ls-files"], capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == num_files
    author = subprocess.run([*new, "log", "--format=%an %ae"], capture_output=True, text=True, check=True)
    assert author.stdout == f"{NAME} ann@example.org\n"
    assert subprocess.run(["git", "-C", str(clone), "log"], capture_output=True, check=False).returncode != 0
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "."]
    assert subprocess.run(ruff, cwd=around / "new", capture_output=True, check=False).returncode == 0


def test_without_a_repository_nothing_is_written(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / ".git").rename(tmp_path / "gone")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(UserError, match="needs a clone .fatal: not a git repository"):
        new_project.write_project(NAME, tmp_path / "new", set())
    monkeypatch.delenv("GIT_CEILING_DIRECTORIES")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text("*\n")
    with pytest.raises(UserError, match="git lists no files in .*: a repository around it ignores them"):
        new_project.write_project(NAME, tmp_path / "new", set())
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without a signal")
def test_a_signal_leaves_nothing(empty: Path) -> None:
    command = [sys.executable, str(PROJECT / "scripts/new_project.py"), NAME, str(empty / "new")]
    with subprocess.Popen(command, cwd=PROJECT) as process:
        while process.poll() is None and not list(empty.glob("*/project/*")):
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM


def test_the_folder_may_begin_with_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["new_project.py", NAME, "~/new"])
    assert new_project.parse_arguments().folder == tmp_path / "new"


# --- Every combination -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", COMBINATIONS, ids=names_of)
def test_a_combination_names_nothing_that_is_left_out(keep: tuple[str, ...], make: Make) -> None:
    folder = make(keep)
    listed = subprocess.run(["git", "ls-files"], cwd=folder, capture_output=True, text=True, check=True)
    present = set(listed.stdout.split())
    new, old = new_project, new_project.present_name()
    everything = {new.renamed(path.relative_to(PROJECT).as_posix(), old, NAME) for path in new.project_files()}
    gone = everything - present
    gone |= {f"{path.parts[1]}={path.stem}" for path in map(Path, gone) if path.match("conf/*/*.yaml")}
    problems: list[str] = []
    dotted: dict[str, str] = {}
    for name in sorted(present):
        content = (folder / name).read_bytes()
        if b"\0" in content:
            continue
        text = content.decode("utf-8")
        assert not re.search(r"(#|<!--) (only: (sweep|workbench|zoo|never)|end only)", text), name
        problems += [f"{name}: {word}" for word in words_of(text) & gone]
        dotted |= dict.fromkeys(re.findall(rf"\b((?:{NAME}|async_optuna|hydra_plugins)(?:\.\w+)+)", text), name)
        dotted |= dict.fromkeys(imported(text) if name.endswith(".py") else (), name)
    for word, name in dotted.items():
        if not exists(word, folder) and exists(new.renamed(word, NAME, old), PROJECT):
            problems.append(f"{name}: {word}")
    assert problems == []


@cache  # most files are the same in several combinations
def words_of(text: str) -> frozenset[str]:
    return frozenset(word.strip(".,:") for word in WORD.findall(text))


@cache
def imported(text: str) -> set[str]:
    """The modules of this project that a file imports."""
    modules = set()
    for node in statements(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in modules if name.partition(".")[0] in (NAME, "async_optuna", "hydra_plugins")}


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below a node; unlike ast.walk without their expressions, which are ten times as many."""
    for blocks in ("body", "orelse", "handlers", "finalbody", "cases"):
        for child in getattr(node, blocks, []):
            yield child
            yield from statements(child)


def exists(dotted: str, folder: Path) -> bool:
    """Whether a dotted name leads to a module, or to a name that a module's text defines or imports."""
    path, words = folder / "src", dotted.split(".")
    for position, word in enumerate(words):
        if (path / word).is_dir():
            path = path / word
            continue
        module = path / f"{word}.py"
        rest = words[position + 1 :]
        if not module.is_file():
            module, rest = path / "__init__.py", words[position:]
        return module.is_file() and (not rest or bool(re.search(rf"\b{rest[0]}\b", module.read_text("utf-8"))))
    return True


@pytest.mark.parametrize("keep", COMBINATIONS, ids=names_of)
def test_a_combination_is_in_order(keep: tuple[str, ...], make: Make) -> None:
    folder = make(keep)
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        ruff = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=folder, capture_output=True, text=True, check=False
        )
        assert ruff.returncode == 0, ruff.stdout
    log = subprocess.run(["git", "log", "--format=%s"], cwd=folder, capture_output=True, text=True, check=True)
    assert log.stdout == f"Begin {NAME}\n"
    status = subprocess.run(["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True)
    assert status.stdout == ""
    assert (folder / "CHANGELOG.md").read_text(encoding="utf-8").count("\n") == 1


def in_the_project(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_DATA_DIR")}
    environment |= {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [keep for keep in COMBINATIONS if len(keep) in (0, 2)], ids=names_of)
def test_a_combination_trains(keep: tuple[str, ...], make: Make) -> None:
    trained = in_the_project(make(keep), "train.py", "trainer=smoke", "data.train_size=256")
    assert trained.returncode == 0, trained.stderr
