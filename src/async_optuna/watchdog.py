"""A small process that ends the trials, and what they are forked from, if their controller is killed.

A trial's own thread does the same at once, but not while compiled code holds the interpreter. This one also ends what
the trial has started, which a death signal of the kernel (PR_SET_PDEATHSIG) would leave alone.
"""

import atexit
import subprocess
import sys
from contextlib import suppress

# Its input ends when the controller does. Signals to all processes of a job are the controller's to answer.
_PROGRAM = """
import os, signal, sys
for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(signum, signal.SIG_IGN)
groups, processes = set(), []
for line in sys.stdin:
    what, number = line.split()
    if what == "process":
        try:
            processes.append(os.pidfd_open(int(number)))
        except (AttributeError, OSError):
            pass
    elif what == "group":
        groups.add(int(number))
    else:
        groups.discard(int(number))
for kill, targets in ((os.killpg, groups), (getattr(signal, "pidfd_send_signal", None), processes)):
    for target in targets:
        try:
            kill(target, signal.SIGKILL)
        except OSError:
            pass
"""

_process: "subprocess.Popen[str] | None" = None


def watch(group: int) -> None:
    """Kill this process group as soon as the present process is gone."""
    _tell(f"group {group}")


def watch_process(process: int) -> None:
    """Kill this one process as soon as the present one is gone, where the system (Linux) tells it from a later one."""
    _tell(f"process {process}")


def forget(group: int) -> None:
    """This process group has ended, so its number may be given to another."""
    _tell(f"forget {group}")


def _tell(line: str) -> None:
    global _process
    if _process is None:
        _process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM], stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        atexit.register(_end, _process)
    assert _process.stdin is not None
    with suppress(OSError):  # somebody has killed it: the trials' threads remain
        _process.stdin.write(f"{line}\n")
        _process.stdin.flush()


def _end(process: "subprocess.Popen[str]") -> None:
    with suppress(OSError, KeyboardInterrupt):  # who presses Ctrl-C at the very end does not want to wait
        process.communicate()
