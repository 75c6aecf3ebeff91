"""Names what differs between two calls of a search, in the words of the command line."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from async_optuna.distributions import in_words, plain_text
from async_optuna.optuna_internals import contains

_MOST = 12


@dataclass(frozen=True)
class SpecChanges:
    """What differs between two searches, as Space.description has them.

    Attributes:
        refused: what makes another search of it.
        grown: intervals that have become wider, which one study can hold.
        has_new_choices: whether a choice has become one of more, which it cannot.
    """

    refused: Sequence[str]
    grown: Sequence[str]
    has_new_choices: bool

    @classmethod
    def between(cls, old: Mapping[str, Any], new: Mapping[str, Any], may_differ: Sequence[str]) -> "SpecChanges":
        before, now = _by_key(old, may_differ), _by_key(new, may_differ)
        pairs = {key: (_distribution(before[key]), _distribution(now[key])) for key in before if key in now}
        grown = [key for key, (small, large) in pairs.items() if before[key] != now[key] and _is_wider(large, small)]
        rest, rest_now = ({key: text for key, text in one.items() if key not in grown} for one in (before, now))
        return cls(
            list(differences(rest, rest_now, _in_words)),
            [f"{key} from {_in_words(before[key])} to {_in_words(now[key])}" for key in grown],
            any(_has_more_choices(large, small) for small, large in pairs.values()),
        )


def _distribution(text: str) -> BaseDistribution | None:
    return json_to_distribution(text) if text.startswith('{"name"') else None


def _is_wider(large: BaseDistribution | None, small: BaseDistribution | None) -> bool:
    """Whether one interval or range holds all that another of its kind does."""
    for kind in (IntDistribution, FloatDistribution):
        if isinstance(large, kind) and isinstance(small, kind):
            same_scale = (large.log, large.step) == (small.log, small.step)
            return same_scale and contains(large, small.low) and contains(large, small.high)
    return False


def _has_more_choices(large: BaseDistribution | None, small: BaseDistribution | None) -> bool:
    if not (isinstance(large, CategoricalDistribution) and isinstance(small, CategoricalDistribution)):
        return False
    return set(map(repr, large.choices)) > set(map(repr, small.choices))


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
    if (distribution := _distribution(value)) is not None:
        return in_words(distribution)
    return "deleted" if value.startswith("~") else value.partition("=")[2] or value


def all_of(words: Sequence[str]) -> str:
    """The words, joined."""
    return " and ".join(words)
