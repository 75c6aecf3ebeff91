"""How long computing threads spin before they sleep, and which share of the cores they get."""

import os
import time
from pathlib import Path

# Whoever sets one of these has decided, and keeps the say over all of them.
SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
# About 0.1 ms: long enough that the threads of a step need not wake each other on a quiet machine.
_SPINS = "10000"
_MILLISECONDS = "1"  # the least that every version of libomp understands

_OF_THIS_THREAD = Path("/proc/thread-self/schedstat")


def wait_briefly() -> None:
    """Ask the thread libraries not to burn a core for milliseconds while they wait.

    They do by default (3 ms in GNU's libgomp, 200 ms in LLVM's and Intel's libomp). Beside other programs a thread that
    waits so takes the core away from the one it waits for: training becomes many times slower. The libraries read
    their settings when they are loaded, so this must come before torch is imported.
    """
    if not any(name in os.environ for name in SETTINGS):
        os.environ["GOMP_SPINCOUNT"] = _SPINS  # torch's wheels for Linux
        os.environ["KMP_BLOCKTIME"] = _MILLISECONDS  # those for macOS, and torch of conda


def is_left_to_us() -> bool:
    """Whether the user has said nothing about how threads wait."""
    others = [name for name in SETTINGS if name != "KMP_BLOCKTIME" and name in os.environ]
    return others in ([], ["GOMP_SPINCOUNT"]) and os.environ.get("GOMP_SPINCOUNT", _SPINS) == _SPINS


def core_time() -> tuple[float, float]:
    """Seconds so far in which this thread was at work on a core, and in which it was or could have been.

    Linux knows since when a thread could go on; elsewhere every second counts in which it was not at work.
    """
    try:
        at_work, waited, _ = map(int, _OF_THIS_THREAD.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return time.thread_time(), time.perf_counter()
    return at_work / 1e9, (at_work + waited) / 1e9


def allowed_cpus() -> int:
    """The CPUs on which the system may run this process, as libgomp counts them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
