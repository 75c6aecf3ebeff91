"""Command lines to print, as the user would type them in the current folder."""

import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path


def python() -> str:
    """Return how to call this interpreter from the user's shell: `python` if that is the same one."""
    found = shutil.which("python")
    same = found is not None and Path(found).absolute() == Path(sys.executable).absolute()
    return "python" if same else shlex.quote(short_path(Path(sys.executable)))


def this_script(arguments: Iterable[str]) -> str:
    """Return a command line that calls the running script with other arguments."""
    return script(Path(sys.argv[0]).name, arguments)


def script(name: str, arguments: Iterable[str]) -> str:
    """Return a command line that calls a script, named as it is found from the folder of the running one."""
    path = short_path(Path(sys.argv[0]).absolute().parent / name) if name else ""
    return " ".join([python(), shlex.quote(path), *map(shlex.quote, arguments)])


def short_path(path: Path) -> str:
    """Return the path relative to the current folder if it lies below it, else the whole path."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
