"""Checks that data fit into the free memory before they are read."""

import os
import re
from pathlib import Path

from cnnlab.errors import UserError

# Data may take this share of the free memory; the rest is left for training.
_SHARE = 0.7
_MEMINFO = Path("/proc/meminfo")  # Linux


def require_memory(num_bytes: int, what: str) -> None:
    """Raise UserError if that many bytes do not fit into the free memory."""
    available = available_bytes()
    if available is not None and num_bytes > _SHARE * available:
        raise UserError(
            f"{what} would take {num_bytes / 2**30:.1f} GiB, and {available / 2**30:.1f} GiB of memory are free; "
            "data.in_memory=false reads them batch by batch"
        )


def available_bytes() -> int | None:
    """Return how much memory new data may take without swapping, or None if the system does not say."""
    if _MEMINFO.is_file() and (found := re.search(r"MemAvailable:\s*(\d+) kB", _MEMINFO.read_text(encoding="ascii"))):
        return int(found[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
