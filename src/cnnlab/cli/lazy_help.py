"""Lets Hydra 1.3 run under Python 3.14, whose argparse rejects one of Hydra's help texts."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def lazy_help_allowed() -> Iterator[None]:
    """Keep argparse from checking help texts before they are printed.

    Since Python 3.14 it checks each text when an argument is added. That of Hydra's --shell-completion
    is an object that becomes a text when it is printed, so that no plugin is asked for its part before.
    """
    changed: Any = argparse.ArgumentParser
    if sys.version_info < (3, 14) or "_check_help" in vars(changed):
        yield
        return
    changed._check_help = lambda parser, action: None
    try:
        yield
    finally:
        del changed._check_help  # the inherited one is back
