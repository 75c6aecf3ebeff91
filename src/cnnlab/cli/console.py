"""Makes output safe on every console, with colours on a terminal, and announces libraries that take long to load."""

import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

from cnnlab import colours
from cnnlab.cli.loading import Announcement
from cnnlab.colours import coloured
from cnnlab.errors import CONTROLS, Interrupted, UserError

# Control characters in a name from an archive or a data set could move the cursor, retitle the window or hide a line.
_ESCAPES = {code: text for code, text in CONTROLS.items() if chr(code) not in "\n\t"}
_KEEPING_BARS = {
    code: text for code, text in _ESCAPES.items() if chr(code) != "\r"
}  # progress bars need \r to overwrite their line
# SIGPIPE ends programs whose output nobody reads any more. Windows does not have it.
_NO_READER = int(getattr(signal, "SIGPIPE", 13))


@contextmanager
def forgiving() -> Iterator[Announcement]:
    """Make a command's output safe, because it contains foreign text: names of classes and files, errors of libraries.

    Characters that the console's encoding lacks and control characters are shown as escapes (\\u4e2d, \\x1b). When the
    reader of a pipe is gone (`| head`), logging raises Interrupted, and the process ends with SIGPIPE's status.

    It yields the line that says what is being loaded, for commands that know early what they will load.
    """
    with ExitStack() as stack:
        stack.enter_context(colours.switched_on(_has_colours()))
        announcement = Announcement(sys.stderr)
        stack.enter_context(announcement.listening())
        for stream, escapes in ((sys.stdout, _ESCAPES), (sys.stderr, _KEEPING_BARS)):
            stack.enter_context(_escaped(stream, escapes, announcement))
        stack.enter_context(_logging_notices())
        try:
            try:
                yield announcement
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
            print(f"{coloured('error:', 'red')} {error}", file=sys.stderr)
            sys.exit(1)
        except (Interrupted, KeyboardInterrupt) as stop:
            sys.exit(128 + getattr(stop, "signum", signal.SIGINT))


def _has_colours() -> bool:
    """Whether standard output is a terminal that shows colours, and the user has not refused them (no-color.org)."""
    is_terminal = isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.isatty()
    if not is_terminal or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    if sys.platform == "win32":
        import colorama  # tqdm needs it on Windows

        colorama.just_fix_windows_console()
    return True


@contextmanager
def _escaped(stream: TextIO | None, escapes: dict[int, str], announcement: Announcement) -> Iterator[None]:
    if not isinstance(stream, io.TextIOWrapper) or "write" in vars(
        stream
    ):  # the stream of a notebook, or one that is already escaped
        yield
        return
    write: Callable[[str], int] = stream.write
    shown = escapes | (colours.SEQUENCES if stream.isatty() else colours.NOTHING)

    def write_safely(text: str) -> int:
        announcement.clear()
        return write(text.translate(shown))

    stream.reconfigure(errors="backslashreplace")
    vars(stream)["write"] = write_safely
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
