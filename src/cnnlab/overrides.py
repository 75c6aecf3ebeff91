"""Reads and rewrites overrides, the key=value arguments of the command line, before Hydra parses them."""

import os
import re
from collections.abc import Iterable
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

# The classes behind these groups take more arguments than their YAML files list. `++` lets any be given; the class's
# signature then refuses the unknown ones with the nearest name. Any network may start from weights.
_OPEN = ("trainer.", "optimizer.", "scheduler.", "classifier.", "callbacks.", "logger.", "data.", "augment.", _WEIGHTS)

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


def _rewrite(argument: str) -> str:
    match = _OVERRIDE.fullmatch(argument)
    if match is None:
        return argument
    prefix, key, value = match["prefix"], match["key"], match["value"]
    if key.startswith(_OPEN):
        prefix = prefix or "++"
    is_file_of_weights = key == _WEIGHTS and not _OF_A_PATH.isdisjoint(value)
    if (key in _LITERAL or is_file_of_weights) and value not in ("null", ""):
        value = unquoted(value)
        if (key in _MADE_ABSOLUTE or is_file_of_weights) and not is_name(value):
            value = os.path.abspath(os.path.expanduser(value))
        return f"{prefix}{key}={quoted(value)}"
    return f"{prefix}{key}={value}"


def _undo(override: str) -> str:
    match = _OVERRIDE.fullmatch(override)
    if match is None:
        return override
    prefix = "" if match["prefix"] == "++" and match["key"].startswith(_OPEN) else match["prefix"]
    value = unquoted(match["value"]) if match["key"] in {*_LITERAL, _WEIGHTS} else match["value"]
    if match["key"] in _MADE_ABSOLUTE and Path(value).is_relative_to(Path.cwd()):
        value = str(Path(value).relative_to(Path.cwd()))
    return f"{prefix}{match['key']}={value}"
