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


def open_standard_streams() -> None:
    """Give a process that was started without standard streams (`>&-`) some that lead nowhere.

    Else the next files to be opened would get their numbers, and with them whatever is printed.
    """
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(nowhere, True)
    os.close(nowhere)
    for name, mode in {"stdin": "r", "stdout": "w", "stderr": "w"}.items():
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
