"""Overrides as they stand on the command line: key=value, +key=value, ~key."""

from collections.abc import Sequence


def key_of(override: str) -> str:
    """Return the key that an override sets, adds or deletes."""
    return override.lstrip("+~").partition("=")[0]


def without(overrides: Sequence[str], key: str) -> list[str]:
    """Return the overrides but those of this key."""
    return [override for override in overrides if key_of(override) != key]
