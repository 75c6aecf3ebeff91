"""What Optuna says while it works for a report."""

from collections.abc import Iterator
from contextlib import contextmanager

import optuna


@contextmanager
def optuna_is_quiet() -> Iterator[None]:
    """For making a copy of a study, which Optuna would announce as a new one."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
