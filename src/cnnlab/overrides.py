"""Reads and rewrites overrides, the key=value arguments of the command line, before Hydra parses them."""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

# Values of these keys are paths and are taken literally: commas, spaces, "=" and umlauts in a path have another meaning
# in Hydra's grammar, or none.
_LITERAL = {"run", "resume", "init_from", "images", "image", "inputs", "out", "data.root", "data.path"}
_MADE_ABSOLUTE = {"run", "resume", "init_from", "data.root", "data.path"}

# Runs that are named in another way than by their folder: the last one, and, with its name behind this, weights that
# ship with the package.
LATEST, PRETRAINED = "latest", "pretrained:"

# This key takes a path too, or a name like DEFAULT, which has none of these characters.
_WEIGHTS, _OF_A_PATH = "model.weights", set("./\\~")

# This key takes runs: one, a list of them, or, in a search, one after the other.
_TEACHER = "classifier.teacher"

# The classes behind these groups take more arguments than their YAML files list. `++` lets any be given; the class's
# signature then refuses the unknown ones with the nearest name. Any network may start from weights.
_OPEN = ("trainer.", "optimizer.", "scheduler.", "classifier.", "callbacks.", "logger.", "data.", "augment.", _WEIGHTS)

_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_RUNS = re.compile(rf"\s*(?:{_QUOTED}|[^,]+)")

_OVERRIDE = re.compile(r"(?P<prefix>\+{0,2}|~)(?P<key>[\w./@]+)=(?P<value>.*)", re.DOTALL)


def for_hydra(arguments: list[str]) -> list[str]:
    """Rewrite the overrides such that Hydra reads what the user meant. Rewriting them again changes nothing."""
    return [_rewrite(argument) for argument in arguments]


def as_typed(overrides: Iterable[str]) -> list[str]:
    """Undo `for_hydra`, for overrides that the user reads: without the `++` and the quotes that it added."""
    return [_undo(override) for override in overrides]


def parsed(arguments: Iterable[str]) -> dict[str, str]:
    """Return the overrides among the arguments: key, without + or ~, to value as it was typed. The last one counts.

    Hydra's OverridesParser does the same only for what is already in its grammar. This one also reads what `for_hydra`
    has still to rewrite, and what Hydra has just refused.
    """
    matches = map(_OVERRIDE.fullmatch, arguments)
    return {match["key"]: match["value"] for match in matches if match}


def value_of(key: str, arguments: Iterable[str]) -> str | None:
    """Return the last value given to `key`, without quotes; None if it is not given or null."""
    value = unquoted(parsed(arguments).get(key, "null"))
    return None if value in ("null", "") else value


def with_value(key: str, value: str, arguments: Iterable[str]) -> list[str]:
    """Return the same overrides with another value for `key`, taken literally."""
    return [f"{key}={quoted(value)}" if key in parsed([argument]) else argument for argument in arguments]


def quoted(value: str) -> str:
    """Quote a value such that Hydra's parser gives back exactly the same string."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return "'" + escaped.replace("${", "\\${") + "'"


def unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != value[-1] or value[0] not in "'\"":
        return value
    inner = re.sub(r"(\\+)(?=" + value[0] + r"|$)", lambda match: "\\" * (len(match[1]) // 2), value[1:-1])
    return inner.replace("\\${", "${")


def is_name(run: str) -> bool:
    """Whether a run is named otherwise than by its folder."""
    return run == LATEST or run.startswith(PRETRAINED)


def is_open(key: str) -> bool:
    """Whether a key may be given that no YAML file lists: the signature of a class decides whether there is one."""
    return key.startswith(_OPEN)


def _rewrite(argument: str) -> str:
    match = _OVERRIDE.fullmatch(argument)
    if match is None:
        return argument
    prefix, key, value = match["prefix"], match["key"], match["value"]
    if is_open(key):
        prefix = prefix or "++"
    if key == _TEACHER:
        return f"{prefix}{key}={_with_each_run(value, _absolute)}"
    is_file_of_weights = key == _WEIGHTS and not _OF_A_PATH.isdisjoint(value)
    if (key in _LITERAL or is_file_of_weights) and value not in ("null", ""):
        value = unquoted(value)
        if key in _MADE_ABSOLUTE or is_file_of_weights:
            value = _absolute(value)
        return f"{prefix}{key}={quoted(value)}"
    return f"{prefix}{key}={value}"


def _undo(override: str) -> str:
    match = _OVERRIDE.fullmatch(override)
    if match is None:
        return override
    prefix = "" if match["prefix"] == "++" and is_open(match["key"]) else match["prefix"]
    key, value = match["key"], match["value"]
    if key == _TEACHER:
        return f"{prefix}{key}={_with_each_run(value, _relative, quote=False)}"
    value = unquoted(value) if key in {*_LITERAL, _WEIGHTS} else value
    return f"{prefix}{key}={_relative(value) if key in _MADE_ABSOLUTE else value}"


def _absolute(run: str) -> str:
    return run if is_name(run) else os.path.abspath(os.path.expanduser(run))


def _relative(path: str) -> str:
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path


def _with_each_run(value: str, change: Callable[[str], str], quote: bool = True) -> str:
    """Change each path in a run, a list of runs like [a,b], or a choice of runs like a,b."""
    is_list = value.startswith("[") and value.endswith("]")
    inner = value[1:-1] if is_list else value
    is_more = re.match(r"\w+\(", value) or "[" in re.sub(_QUOTED, "", inner)  # choice(a,b), or a choice of lists
    if value in ("null", "", "???") or "${" in value or is_more:
        return value
    runs = [change(unquoted(run.strip())) for run in _RUNS.findall(inner)]
    changed = ",".join(quoted(run) if quote or "," in run else run for run in runs)
    return f"[{changed}]" if is_list else changed
