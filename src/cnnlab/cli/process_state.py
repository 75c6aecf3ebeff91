"""Changes what belongs to the whole process for a while: sys.argv and environment variables."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def changed_argv(argv: list[str]) -> Iterator[None]:
    """Set sys.argv, from which Hydra reads its arguments and Lightning those of further processes."""
    given, sys.argv = sys.argv, argv
    try:
        yield
    finally:
        sys.argv = given


@contextmanager
def changed_environment(name: str, value: str | None) -> Iterator[None]:
    """Set an environment variable, or remove it with None."""
    previous = os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if previous is not None:
            os.environ[name] = previous
