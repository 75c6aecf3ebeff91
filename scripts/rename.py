"""Give the project a name of its own: package, imports, configs, documentation and environment variables.

    make rename NAME=mylab
    python scripts/rename.py mylab

All or nothing: a name that cannot be used is refused before the first change, and a failure on the way is undone.
A project that was renamed can be renamed again.
"""

import argparse
import importlib.util
import keyword
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

# All at the top: at the end they have another name.
from cnnlab.cli import console
from cnnlab.data.files.locations import ENVIRONMENT_VARIABLE, cache_dir
from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically

PROJECT = Path(__file__).resolve().parents[1]
CACHES = {".git", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", "build"}
VALID = re.compile("[a-z]([a-z0-9_]*[a-z0-9])?")  # what is both a package and, for pip, a distribution


@console.script()
def main() -> None:
    new = parse_arguments().name
    old = present_name()
    files = project_files()
    check(new, old, files)
    num_changed = rename(old, new, files)
    shutil.rmtree(PROJECT / f"src/{old}.egg-info", ignore_errors=True)
    print(f"Renamed {old} to {new}: {num_changed} files changed. To do:")
    steps = [*repaired_by_ruff(), *to_do(old, new)]
    width = max(len(what) for what, _ in steps)
    for what, why in steps:
        print(f"  {what:<{width}}  {why}")
    print(f"Older run folders name {old}: they can be read, but not resumed under the new name.")
    print(f"The folder {PROJECT.name} and its repository on GitHub keep their names.")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="", help="the new name, a lower-case Python identifier")
    return parser.parse_args()


def present_name() -> str:
    name: str = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    if not (PROJECT / "src" / name).is_dir():
        raise UserError(f"expected the package of pyproject.toml's project.name in src/{name}, and there is none")
    return name


def project_files() -> list[Path]:
    """What git tracks or would track; where git does not know the project, everything but environments and outputs."""
    git = ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(git, capture_output=True, check=False).stdout.split(b"\0")
    except OSError:  # no git
        listed = []
    paths = {PROJECT / os.fsdecode(name) for name in listed if name} if b"pyproject.toml" in listed else set(walk())
    return sorted(path for path in paths if path.is_file() and not path.is_symlink())


def walk() -> Iterator[Path]:
    for root, folders, files in os.walk(PROJECT):
        is_outputs = Path(root) == PROJECT / "outputs"  # whose own files belong to the project
        folders[:] = [name for name in folders if not is_outputs and not is_left_out(Path(root, name))]
        yield from (Path(root, name) for name in files)


def is_left_out(folder: Path) -> bool:
    return folder.name in CACHES or folder.suffix == ".egg-info" or (folder / "pyvenv.cfg").exists()


def check(new: str, old: str, files: list[Path]) -> None:
    """Raise UserError if the project cannot take this name, or could not be told apart from it by a later rename."""
    if not new:
        raise UserError("no name was given; for example: make rename NAME=mylab, or python scripts/rename.py mylab")
    if not VALID.fullmatch(new):
        near = re.sub("[^a-z0-9]+", "_", new.lower()).strip("_").lstrip("0123456789_")
        hint = f"; did you mean {near}?" if VALID.fullmatch(near) and not keyword.iskeyword(near) else ""
        raise UserError(f"the name must be lower-case letters, digits and _, a letter first, got {new!r}{hint}")
    if new == old:
        raise UserError(f"the project is called {old} already")
    if keyword.iskeyword(new) or new in sys.stdlib_module_names:
        raise UserError(f"{new} is a keyword or module of Python; choose another name")
    taken = [*PROJECT.iterdir(), *(PROJECT / "src").iterdir(), *(PROJECT / "scripts").iterdir()]
    for path in taken:
        if path.name.partition(".")[0].lower() == new:
            raise UserError(f"the project has a {path.relative_to(PROJECT)} already; choose another name")
    found = importlib.util.find_spec(new)
    if found is not None:
        where = found.origin or ", ".join(found.submodule_search_locations or ())
        raise UserError(f"a package {new} is installed ({where}) and would be hidden; choose another name")
    for path in files:
        parts = path.relative_to(PROJECT).parts
        if parts[0] in ("src", "conf", "train.py") and (word := pattern(new).search(path.read_bytes())):
            line = word.string.count(b"\n", 0, word.start()) + 1
            raise UserError(f"{new} is a word of the code ({Path(*parts)}, line {line}) already; choose another name")


def pattern(name: str) -> re.Pattern[bytes]:
    """The name, or the same in capitals, as a word or between underscores; bytes, so that newlines stay as they are."""
    return re.compile(rf"(?<![A-Za-z0-9])(?:{name}|{name.upper()})(?![A-Za-z0-9])".encode())


def replaced(content: bytes, old: str, new: str) -> bytes:
    return pattern(old).sub(lambda word: (new if word[0].islower() else new.upper()).encode(), content)


def rename(old: str, new: str, files: list[Path]) -> int:
    """Change texts, then paths; return in how many files the name stood."""
    contents = {path: path.read_bytes() for path in files}
    contents = {path: content for path, content in contents.items() if b"\0" not in content}  # no binary files
    texts = {path: content for path, content in contents.items() if pattern(old).search(content)}
    moves = {path: path.with_name(replaced(path.name.encode(), old, new).decode()) for path in with_parents(files)}
    moves = {source: target for source, target in moves.items() if source != target}
    for target in moves.values():
        if target.exists():
            raise UserError(f"{target.relative_to(PROJECT)} is there already; remove it or choose another name")
    for cache in [*(PROJECT / "src" / old).rglob("__pycache__")]:
        shutil.rmtree(cache, ignore_errors=True)
    with ExitStack() as undo:
        for path, content in texts.items():
            undo.callback(write, path, content)
            write(path, replaced(content, old, new))
        for source, target in moves.items():
            source.rename(target)
            undo.callback(target.rename, source)
        undo.pop_all()
    return len(texts)


def with_parents(files: list[Path]) -> list[Path]:
    """Files and folders, the deepest first, so that those moved later take those moved before along."""
    paths = {*files, *(parent for path in files for parent in path.parents if parent.is_relative_to(PROJECT))}
    return sorted(paths - {PROJECT}, key=lambda path: (-len(path.parts), path))


def write(path: Path, content: bytes) -> None:
    mode = path.stat().st_mode
    write_atomically(path, content)
    path.chmod(mode)


def repaired_by_ruff() -> list[tuple[str, str]]:
    """Sort imports and wrap lines, which depend on the name's letters and length; return what is left to do."""
    if importlib.util.find_spec("ruff") is None:
        return [("make format", "puts the imports in order (ruff, which does, is not installed here)")]
    for command in (["check", "--fix"], ["format"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=PROJECT, capture_output=True, check=False)
    lint = [sys.executable, "-m", "ruff", "check", "--quiet", "--output-format", "concise", "."]
    left = subprocess.run(lint, cwd=PROJECT, capture_output=True, text=True, check=False).stdout.splitlines()
    return [("make lint", f"shows {len(left)} lines to change by hand, most likely too long ones")] if left else []


def to_do(old: str, new: str) -> Iterator[tuple[str, str]]:
    yield "make setup", 'installs the new name (without make: python -m pip install -e ".[dev]" -c constraints.txt)'
    yield f"pip uninstall {old}", "takes the old one out of an environment that stays"
    variable = ENVIRONMENT_VARIABLE
    yield replaced(variable.encode(), old, new).decode(), f"is what {variable} was, should your shell set it"
    if cache_dir().is_dir():
        yield "downloaded data", f"move {cache_dir()} to {cache_dir().with_name(new)} to keep them"


if __name__ == "__main__":
    main()
