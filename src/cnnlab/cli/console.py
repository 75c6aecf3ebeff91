"""Makes output safe on every console: any encoding, control characters in names, and readers that go away."""

import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

from cnnlab.errors import CONTROLS, Interrupted, UserError

# Control characters in a name from an archive or a data set could move the cursor, retitle the window or hide a line.
_ESCAPES = {code: text for code, text in CONTROLS.items() if chr(code) not in "\n\t"}
_KEEPING_BARS = {
    code: text for code, text in _ESCAPES.items() if chr(code) != "\r"
}  # progress bars need \r to overwrite their line
# SIGPIPE ends programs whose output nobody reads any more. Windows does not have it.
_NO_READER = int(getattr(signal, "SIGPIPE", 13))


@contextmanager
def forgiving() -> Iterator[None]:
    """Make a command's output safe, because it contains foreign text: names of classes and files, errors of libraries.

    Characters that the console's encoding lacks and control characters are shown as escapes (\\u4e2d, \\x1b). When the
    reader of a pipe is gone (`| head`), logging raises Interrupted, and the process ends with SIGPIPE's status.
    """
    with ExitStack() as stack:
        for stream, escapes in ((sys.stdout, _ESCAPES), (sys.stderr, _KEEPING_BARS)):
            stack.enter_context(_escaped(stream, escapes))
        stack.enter_context(_logging_notices())
        try:
            try:
                yield
            finally:
                _flush(sys.stdout)
        except BrokenPipeError:
            sys.exit(128 + _NO_READER)
        finally:
            for stream in (sys.stdout, sys.stderr):
                _drop_what_nobody_reads(stream)


@contextmanager
def script() -> Iterator[None]:
    """`forgiving` for a script with ordinary flags. It also prints errors in one line and ends quietly at Ctrl-C."""
    with forgiving():
        try:
            yield
        except BrokenPipeError:
            raise
        except (UserError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        except (Interrupted, KeyboardInterrupt) as stop:
            sys.exit(128 + getattr(stop, "signum", signal.SIGINT))


@contextmanager
def _escaped(stream: TextIO | None, escapes: dict[int, str]) -> Iterator[None]:
    if not isinstance(stream, io.TextIOWrapper) or "write" in vars(
        stream
    ):  # the stream of a notebook, or one that is already escaped
        yield
        return
    write: Callable[[str], int] = stream.write
    stream.reconfigure(errors="backslashreplace")
    vars(stream)["write"] = lambda text: write(text.translate(escapes))
    try:
        yield
    finally:
        del vars(stream)["write"]


@contextmanager
def _logging_notices() -> Iterator[None]:
    """Stop when nobody reads the log: logging itself would print a stack trace for each line and go on."""
    handle_error = logging.Handler.handleError

    def raise_if_nobody_reads(self: logging.Handler, record: logging.LogRecord) -> None:
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            raise Interrupted(_NO_READER)
        handle_error(self, record)

    logging.Handler.handleError = raise_if_nobody_reads  # type: ignore[method-assign]
    try:
        yield
    finally:
        logging.Handler.handleError = handle_error  # type: ignore[method-assign]


def _flush(stream: TextIO) -> None:
    """Flush; with a closed terminal, a program that ends for another reason keeps that reason's exit status."""
    try:
        stream.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.__context__ is None:
            raise


def _drop_what_nobody_reads(stream: TextIO) -> None:
    """Discard output without a reader, because the interpreter would try to write it at exit and report an error."""
    try:
        stream.flush()
    except OSError:  # a pipe whose reader is gone, or a terminal that was closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
