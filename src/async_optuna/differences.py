"""Names what differs between two calls of a search, in the words of the command line."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from optuna.distributions import json_to_distribution

from async_optuna.distributions import in_words, plain_text

_MOST = 12


def spec_differences(old: Mapping[str, Any], new: Mapping[str, Any], may_differ: Sequence[str]) -> list[str]:
    """What differs between two searches, as Space.description has them."""
    return list(differences(_by_key(old, may_differ), _by_key(new, may_differ), _in_words))


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], words: Callable[[Any], str] = plain_text, prefix: str = ""
) -> Iterator[str]:
    """What is new, missing or another value, key by key."""
    for key in [*old, *(key for key in new if key not in old)]:
        before, now = old.get(key), new.get(key)
        if key not in old:
            yield f"{prefix}{key} is new ({words(now)})"
        elif key not in new:
            yield f"{prefix}{key} is missing (was {words(before)})"
        elif before == now:
            continue
        elif isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from differences(before, now, words, f"{prefix}{key} ")
        elif words(before) == words(now):
            yield f"{prefix}{key} was {before}, is {now}"
        else:
            yield f"{prefix}{key} was {words(before)}, is {words(now)}"


def in_one_line(found: Sequence[str]) -> str:
    """The differences, or as many of them as a line can hold."""
    more = [f"and {len(found) - _MOST} more"] if len(found) > _MOST else []
    return "; ".join([*found[:_MOST], *more])


def _by_key(spec: Mapping[str, Any], may_differ: Sequence[str]) -> dict[str, str]:
    fixed = {key: value for key, value in spec.get("fixed", {}).items() if key not in may_differ}
    flat = {name: all_of(spec.get(name, [])) for name in ("directions", "metrics")}
    flat |= {key.lstrip("+"): value for key, value in {**fixed, **spec.get("params", {})}.items()}
    for condition, content in spec.get("conditional", {}).items():
        flat |= {f"{key.lstrip('+')} where {condition}": value for key, value in content.items()}
    return flat


def _in_words(value: str) -> str:
    """A distribution or a fixed override as the user would write its value."""
    if value.startswith('{"name"'):
        return in_words(json_to_distribution(value))
    return "deleted" if value.startswith("~") else value.partition("=")[2] or value


def all_of(words: Sequence[str]) -> str:
    """The words, joined."""
    return " and ".join(words)
