"""Imports large libraries without looking for garbage meanwhile, of which an import leaves none."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heavy_imports() -> Iterator[None]:
    """Import torch and what needs it in the block; a tenth of that time would be garbage collection.

    What is there afterwards stays until the process ends, so that no later collection looks at it again.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
