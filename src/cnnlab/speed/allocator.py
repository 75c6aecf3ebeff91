"""Keep the memory that a training step frees in the process, so that the next step can use it at once."""

import ctypes
import os

# mallopt's names for its parameters (malloc.h).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 128 * 2**20  # more than a step of any network here frees in blocks that are kept
_LARGEST_KEPT_BYTES = 32 * 2**20  # the largest block that glibc itself would come to keep


def keep_freed_memory() -> None:
    """Let glibc keep 128 MiB of freed memory, in blocks of up to 32 MiB, where there is glibc.

    A step on the CPU frees all its activations at its end. By default they go back to the system, which clears every
    page before the next step may write to it: thousands of page faults a step, up to a third of its time. Settings of
    one's own (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_, GLIBC_TUNABLES) are left alone.
    """
    if any(name in os.environ for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl, Windows
        return
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
