"""What a further process of a run does with its error: the first process tells it, or whoever is left.

The first process holds the lock of the run folder as long as it lives, so the others see there whether it can still
speak. They leave their error in the folder, where it finds it; only if it is gone, one of them tells the user.
"""

import contextlib
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

import torch

from cnnlab.colours import coloured
from cnnlab.errors import UserError
from cnnlab.runs import failures, locks, ranks

_PATIENCE = 10.0  # seconds for the system to release the lock of a process that has died
_MOMENT = 0.1
_OF_A_CONNECTION = ("gloo", "nccl", "connection", "socket")


def is_of_a_connection(error: BaseException) -> bool:
    """Return whether an error only says that another process does not answer."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        isinstance(error, torch.distributed.DistError) or any(word in text for word in _OF_A_CONNECTION)
    )


def report(run_dir: Path, error: BaseException) -> None:
    """Leave the error of this process, which is not the first, in the run folder; tell it if the first one is gone.

    torchrun stops all processes when one is gone, which may come before the others notice it. A stop by anybody else
    comes to the first process too.
    """
    if getattr(error, "is_told", False) or (not isinstance(error, Exception) and ranks.launcher() is None):
        return
    error.is_told = True  # type: ignore[attr-defined]
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # this process ends anyway
    if isinstance(error, Exception) and not is_of_a_connection(error):
        _leave(run_dir, error)
    tell_if_first_is_gone(run_dir)


def tell_if_first_is_gone(run_dir: Path) -> None:
    """Print what has become of the run, unless the first process is there to do it, or somebody has done it."""
    deadline = time.monotonic() + _PATIENCE
    while locks.is_held(run_dir):
        if time.monotonic() > deadline or failures.is_told(run_dir):
            return
        time.sleep(_MOMENT)
    if failures.claim_telling(run_dir):
        cause = failures.cause(run_dir) or "the first process of the run has ended"
        line = failures.with_advice(cause, run_dir)
        with contextlib.suppress(OSError):
            failures.leave_cause(run_dir, line)
            print(f"{coloured('error:', 'red')} {line}", file=sys.stderr, flush=True)


def _leave(run_dir: Path, error: Exception) -> None:
    where = f"process {ranks.rank()}"
    with contextlib.suppress(OSError):
        if isinstance(error, UserError):
            failures.leave_cause(run_dir, f"{where}: {error}")
            return
        trace = "".join(traceback.format_exception(error))
        (run_dir / "traceback.txt").write_text(trace, encoding="utf-8")
        first_line = next(iter(str(error).strip().splitlines()), "")
        failures.leave_cause(run_dir, f"{where}: {type(error).__name__}: {first_line} (traceback.txt has more)")
