"""The command line: runs a task through Hydra, reports errors in one line, and ends a run cleanly at a signal."""

import sys
from types import TracebackType


def _end_in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell Ctrl-C in one line while Hydra is still being imported; later `Command` does. The exit status stays 130."""
    if issubclass(kind, KeyboardInterrupt):
        print("stopped by Ctrl-C", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if sys.excepthook is sys.__excepthook__:  # nobody else, as a notebook does, has an own way to tell errors
    sys.excepthook = _end_in_one_line
