"""Commands as the user would type them here, and values as Hydra reads them."""

import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from async_optuna.passwords import without_passwords


def python() -> str:
    """The command that starts this interpreter from the user's shell: `python` where it is the same, else a path."""
    found = shutil.which("python")
    same = found is not None and Path(found).absolute() == Path(sys.executable).absolute()
    return "python" if same else shlex.quote(short_path(Path(sys.executable)))


def this_script(arguments: Iterable[str]) -> str:
    """A command line that calls the running script with other arguments, less the passwords in them."""
    script = short_path(Path(sys.argv[0]).absolute()) if sys.argv[0] else ""
    return " ".join([python(), shlex.quote(script), *map(shlex.quote, without_passwords(list(arguments)))])


def short_path(path: Path) -> str:
    """The path from here if it lies below, else the whole."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def quoted(value: str) -> str:
    """Quote a value such that Hydra's parser gives back exactly the same string."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return "'" + escaped.replace("${", "\\${") + "'"


def config_flags(arguments: Sequence[str]) -> tuple[str, ...]:
    """Those that choose the config, which a command for a single trial needs as well."""
    flags = []
    for index, argument in enumerate(arguments):
        flag, equals, _ = argument.partition("=")
        if flag in ("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd"):
            flags += [argument] if equals else [*arguments[index : index + 2]]
    return tuple(flags)
