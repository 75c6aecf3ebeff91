"""Write a fresh project of your own from the parts of this one.

    make new NAME=mylab DIR=../mylab KEEP="sweep workbench"
    python scripts/new_project.py mylab ../mylab --keep sweep workbench

The new folder holds a project that trains and tests, under the name you give: package, imports, configs, documentation
and environment variables have it. It is a git repository with one commit. All or nothing: nothing is left of a project
that cannot be made. Files of your own that are in none of the parts are copied whole, under the new name.
"""

import argparse
import fnmatch
import functools
import importlib.util
import keyword
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from cnnlab.cli import console
from cnnlab.cli.signals import signals_raise
from cnnlab.errors import UserError, did_you_mean

PROJECT = Path(__file__).resolve().parents[1]
PARTS: dict[str, dict[str, object]] = tomllib.loads((PROJECT / "scripts/parts.toml").read_text(encoding="utf-8"))
CHOICES = {name: str(part["about"]) for name, part in PARTS.items() if re.fullmatch("(?!always|never)[a-z]+", name)}
RESTARTED = ("CHANGELOG.md", "LOG.md", "RESULTS.md")  # of which a new project gets the heading
VALID = re.compile("[a-z]([a-z0-9_]*[a-z0-9])?")  # what is both a package and, for pip, a distribution


@console.script()
def main() -> None:
    arguments = parse_arguments()
    keep = check_parts(word for text in arguments.keep for word in text.split())
    with signals_raise():
        num_files = write_project(arguments.name, arguments.folder, keep)
    shown = shlex.quote(str(arguments.folder))
    print(f"{arguments.folder} is the project {arguments.name}: {num_files} files, one commit. What to do there:")
    print(f"  cd {shown} && make test     installs what it needs into .venv, and tests")
    print(f"  cd {shown} && make train    trains TinyVGG on MNIST")
    print("Without make: docs/installation.md has the plain commands.")
    if others := [path for path in listed_paths() if path.is_symlink() or path.is_dir()]:
        names = ", ".join(path.relative_to(PROJECT).as_posix() for path in others)
        print(f"Not copied, because they are links or repositories of their own: {names}")


def parse_arguments() -> argparse.Namespace:
    parts = "\n".join(f"  {name:<10} {about}" for name, about in CHOICES.items())
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"parts to keep:\n{parts}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="the name of package and project, a lower-case Python identifier")
    parser.add_argument("folder", type=expanded, help="the folder to write, which must not be there yet")
    parser.add_argument(
        "--keep", nargs="*", default=[], metavar="PART", help=f"of {', '.join(CHOICES)}; none by default"
    )
    return parser.parse_args()


def expanded(folder: str) -> Path:
    """The folder, also where the shell has left the ~ of DIR=~/mylab as it is."""
    return Path(folder).expanduser()


def write_project(name: str, folder: Path, keep: set[str]) -> int:
    """Write the project and return its number of files.

    It grows in a temporary folder beside the one that was asked for, which a failure takes along.

    Raises:
        UserError: for a name or folder that cannot be used.
    """
    old = present_name()
    files = project_files()
    check_name(name, old, files)
    if folder == Path():
        raise UserError("no folder was given; for example: make new NAME=mylab DIR=../mylab")
    folder = folder.absolute()
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder} is there already; name a folder that is not")
    if PROJECT in folder.resolve().parents:
        raise UserError(f"{folder} lies inside this project; name a folder outside it")
    names = {path.relative_to(PROJECT).as_posix() for path in files}
    kept = {path for path in names if holds(condition_of(path), keep)}
    draft = Draft(kept, names - kept, keep, old, name)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            root = Path(temporary, "project")
            for path in sorted(kept):
                copy(PROJECT / path, root / renamed(path, old, name), draft)
            tidy(root)
            first_commit(root, name)
            root.rename(folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    return len(kept)


# --- Which files -----------------------------------------------------------------------------------------------------


def project_files() -> list[Path]:
    """The files that git tracks or would track, as they lie in the working tree."""
    return [path for path in listed_paths() if path.is_file() and not path.is_symlink()]


def listed_paths() -> list[Path]:
    listed = git(PROJECT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed.returncode != 0:
        raise UserError(f"git cannot list the files to copy, which needs a clone ({last_line(listed.stderr)})")
    paths = {PROJECT / name for name in listed.stdout.split("\0") if name}
    if not paths:
        raise UserError(f"git lists no files in {PROJECT}: a repository around it ignores them; clone this project")
    return sorted(paths)


def git(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run git in a folder, for the repository of that folder even where variables name another, as in a git hook."""
    command = ["git", "-C", str(folder), *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in variables_of_a_repository()}
    return subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False
    )


@functools.cache
def variables_of_a_repository() -> set[str]:
    """The environment variables, GIT_DIR among them, that tell git which repository it works on."""
    try:
        told = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UserError("git is not installed; it lists the files to copy and makes the new repository") from error
    return set(told.stdout.split())


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it gives no reason"])[-1]


def condition_of(path: str) -> str:
    """The part a file belongs to, or the condition on parts; `always` for a file that no part lists."""
    fits = fitting_patterns(path)
    return max(fits)[1] if fits else "always"


def fitting_patterns(path: str) -> list[tuple[int, str]]:
    """The patterns that fit a path, as their length and part; there is none for a file of one's own."""
    return [(len(pattern), name) for name, pattern in patterns() if fits_pattern(path, pattern)]


def patterns() -> Iterable[tuple[str, str]]:
    for name, part in PARTS.items():
        yield from ((name, pattern) for pattern in part["files"])  # type: ignore[attr-defined]


def fits_pattern(path: str, pattern: str) -> bool:
    if pattern.endswith("/"):
        return path.startswith(pattern)
    return fnmatch.fnmatchcase(path, pattern) and pattern.count("/") == path.count("/")


def holds(condition: str, keep: set[str]) -> bool:
    """Whether a project with these parts has what stands under a condition: always, never, a, "a or b", "a and b"."""
    if " or " in condition:
        return any(holds(part, keep) for part in condition.split(" or "))
    return all(part == "always" or part in keep for part in condition.split(" and "))


def check_parts(words: Iterable[str]) -> set[str]:
    keep = set(words)
    for word in sorted(keep - set(CHOICES)):
        raise UserError(f"no part {word!r}{did_you_mean(word, CHOICES)}; choose from {', '.join(CHOICES)}")
    return keep


# --- Which lines -----------------------------------------------------------------------------------------------------

BEGIN = re.compile(r"[ \t]*(?:#|<!--) only: ([a-z ]+?)(?: -->)?\n")
END = re.compile(r"[ \t]*(?:#|<!--) end only(?: -->)?\n")
MARKED = re.compile(r"(.*?\S)\s*(?:#|<!--) only: ([a-z ]+?)(?: -->)?( \|)?\n")
COMMENTED = re.compile(r"```bash\n|# .*\n|(?:python|make) .*\n")  # what may stand above a comment in a block
COMMAND = re.compile(r"\s*(?:eval \"\$\()?(?:python|make) \S")


def marked_lines(text: str, keep: set[str]) -> str:
    """The lines outside all blocks whose condition does not hold, without the marks."""
    lines, blocks = [], [True]
    for line in text.splitlines(keepends=True):
        if begin := BEGIN.fullmatch(line):
            blocks.append(holds(begin[1], keep))
        elif END.fullmatch(line):
            blocks.pop()
        elif all(blocks):
            marked = MARKED.fullmatch(line) if " only: " in line else None
            if marked is None or holds(marked[2], keep):
                lines.append(line if marked is None else f"{marked[1]}{marked[3] or ''}\n")
    return "".join(lines)


def copy(source: Path, target: Path, draft: "Draft") -> None:
    """Copy a file, of a text the lines that are kept, under the new name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    try:
        text = source.read_bytes().decode("utf-8")
    except UnicodeDecodeError:  # no text of this project
        return
    if "\0" in text:
        return
    path = source.relative_to(PROJECT).as_posix()
    if fitting_patterns(path):
        text = lines_that_stay(text.replace("\r\n", "\n"), path, draft)
    target.write_bytes(renamed(text, draft.old, draft.new).encode("utf-8"))


def lines_that_stay(text: str, path: str, draft: "Draft") -> str:
    """The text of a file of this project without what belongs to parts that are left out."""
    text = marked_lines(text, draft.keep)
    if path in RESTARTED:
        text = text.partition("\n")[0] + "\n"
    if path == "docs/architecture.md":
        text = re.sub(
            r"(?<=```\n)train\.py .*?(?=```)", lambda tree: draft.present_lines(tree[0]), text, flags=re.DOTALL
        )
    text = "".join(present_commands(text.splitlines(keepends=True), draft))
    if not path.endswith(".py"):
        text = re.sub(r"```bash\n```\n", "", text)
        text = re.sub(r"\n\n+\Z", "\n", re.sub(r"\n{3,}", "\n\n", text))
    return text


def present_commands(lines: Iterable[str], draft: "Draft") -> list[str]:
    """The lines without the commands that are missing, and without the comment above each of them."""
    present: list[str] = []
    for line in lines:
        if not draft.is_missing(line):
            present.append(line)
            continue
        while len(present) > 1 and present[-1].startswith("# ") and COMMENTED.fullmatch(present[-2]):
            present.pop()
    return present


class Draft:
    """The project to be: what it has of this one.

    Args:
        kept, left_out: paths in this project.
        keep: the parts.
        old, new: the names.
    """

    def __init__(self, kept: set[str], left_out: set[str], keep: set[str], old: str, new: str) -> None:
        self.kept, self.keep, self.old, self.new = kept, keep, old, new
        makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
        targets, left = (
            set(re.findall(r"^([a-z-]+):", text, re.MULTILINE)) for text in (makefile, marked_lines(makefile, keep))
        )
        self.missing = {f"make {target}" for target in targets - left}
        for path in map(PurePosixPath, left_out):
            if path.parts[0] == "conf" and len(path.parts) == 3:
                self.missing.add(f"{path.parts[1]}={path.stem}")
            self.missing.add(str(path))

    def is_missing(self, line: str) -> bool:
        """Whether a line is a command that names a script, a target of make or a choice that is left out."""
        if not COMMAND.match(line):
            return False
        words = re.sub(r"\s#.*", "", line).split()
        return bool({*words, " ".join(words[:2])} & self.missing)

    def present_lines(self, tree: str) -> str:
        """The lines of a tree whose files are there; an indented line names a file of the folder above it."""
        lines, above = [], [(-1, "")]
        for line in tree.splitlines(keepends=True):
            indent = len(line) - len(line.lstrip())
            while above[-1][0] >= indent:
                above.pop()
            path = above[-1][1] + line.split()[0]
            above.append((indent, path))
            if self.has(path):
                lines.append(self.under_the_new_name(line))
        return "".join(lines)

    def under_the_new_name(self, line: str) -> str:
        """A line of the tree whose description still stands below the others."""
        return re.sub(
            r"^(\S+/) {2,}", lambda path: f"{renamed(path[1], self.old, self.new):<{len(path[0]) - 2}}  ", line
        )

    def has(self, pattern: str) -> bool:
        return any(
            path.startswith(pattern) if pattern.endswith("/") else fnmatch.fnmatchcase(path, pattern)
            for path in self.kept
        )


def tidy(root: Path) -> None:
    """Sort imports, drop those that no line needs any more and wrap lines, which depend on the name's length."""
    if importlib.util.find_spec("ruff") is None:
        raise UserError('ruff is not installed here, which puts the new files in order: pip install -e ".[dev]"')
    for command in (["check", "--fix"], ["format"]):
        # A repository around the new folder may ignore it.
        ruff = [sys.executable, "-m", "ruff", *command, "--quiet", "--no-cache", "--no-respect-gitignore", "."]
        subprocess.run(ruff, cwd=root, capture_output=True, check=False)


def first_commit(root: Path, name: str) -> None:
    """Make a repository of all files, whatever hooks, signatures and ignored names the user's own settings ask for.

    Where git knows no name or address of the user, those of the project stand for them.
    """
    settings = {"commit.gpgSign": "false", "core.hooksPath": os.devnull, "core.safecrlf": "false"}
    author = {"user.name": name, "user.email": f"{name}@localhost"}
    settings |= {key: value for key, value in author.items() if not git(root, "config", key).stdout.strip()}
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    for command in (
        ["init", "--quiet", "-b", "main"],
        ["add", "--all", "--force"],
        ["commit", "--quiet", "-m", f"Begin {name}"],
    ):
        done = git(root, *options, *command)
        if done.returncode != 0:
            raise UserError(f"git {command[0]} failed in the new project: {last_line(done.stderr)}")


# --- The name --------------------------------------------------------------------------------------------------------


def present_name() -> str:
    name: str = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    return name


def check_name(new: str, old: str, files: list[Path]) -> None:
    """Raise UserError for a name that is no package, hides one, or is a word of the code already."""
    if not new:
        raise UserError("no name was given; for example: make new NAME=mylab DIR=../mylab")
    if not VALID.fullmatch(new):
        near = re.sub("[^a-z0-9]+", "_", new.lower()).strip("_").lstrip("0123456789_")
        hint = f"; did you mean {near}?" if VALID.fullmatch(near) and not keyword.iskeyword(near) else ""
        raise UserError(f"the name must be lower-case letters, digits and _, a letter first, got {new!r}{hint}")
    if new == old:
        raise UserError(f"{old} is the name of this project; choose another for the new one")
    if keyword.iskeyword(new) or new in sys.stdlib_module_names:
        raise UserError(f"{new} is a keyword or module of Python; choose another name")
    taken = {path: path.relative_to(PROJECT).parts for path in files}
    for parts in taken.values():
        top = parts[:2] if parts[0] in ("src", "scripts") else parts[:1]
        if new in {part.partition(".")[0].lower() for part in top}:
            raise UserError(f"{Path(*top)} is there already; choose another name")
    for path, parts in taken.items():
        if parts[0] in ("src", "conf", "train.py") and (
            word := pattern(new).search(path.read_text("utf-8", "replace"))
        ):
            line = word.string.count("\n", 0, word.start()) + 1
            raise UserError(f"{new} is a word of the code ({Path(*parts)}, line {line}) already; choose another name")
    found = importlib.util.find_spec(new)
    if found is not None:
        where = found.origin or ", ".join(found.submodule_search_locations or ())
        raise UserError(f"a package {new} is installed ({where}) and would be hidden; choose another name")


def pattern(name: str) -> re.Pattern[str]:
    """The name, or the same in capitals, as a word or between underscores."""
    return re.compile(rf"(?<![A-Za-z0-9])(?:{name}|{name.upper()})(?![A-Za-z0-9])")


def renamed(text: str, old: str, new: str) -> str:
    return pattern(old).sub(lambda word: new if word[0].islower() else new.upper(), text)


if __name__ == "__main__":
    main()
