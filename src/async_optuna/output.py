"""Prints what a search has to say."""

import os
import sys
from contextlib import suppress


def say(text: str, to_errors: bool = False) -> None:
    """Print a line, unless its reader is gone: a closed terminal must not end what goes on without it."""
    stream = sys.stderr if to_errors else sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError:
        with suppress(OSError, ValueError):  # what is still in the buffer would fail once more at the end
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
