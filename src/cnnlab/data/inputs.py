"""Converts and checks input values: uint8 for images, float32 for anything else, all of them finite numbers."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def as_stored(values: NDArray[Any]) -> NDArray[Any]:
    """Convert numbers to float32 in this machine's byte order, unless they are uint8.

    Numbers beyond float32 become infinite, see num_not_finite.
    """
    if values.dtype == np.uint8:
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def num_not_finite(inputs: Tensor) -> int:
    """Return the number of samples (N, …) that hold NaN or infinity."""
    if not inputs.is_floating_point():
        return 0
    finite = inputs.isfinite()
    return 0 if finite.all() else int((~finite).flatten(1).any(dim=1).sum())


def kind(dtype: "np.dtype[Any] | torch.dtype") -> str:
    """Return the kind of values of a type. All splits must have the same kind, because the scale depends on it."""
    name = str(dtype).removeprefix("torch.")
    if name in ("uint8", "bool"):
        return name
    is_float = dtype.is_floating_point if isinstance(dtype, torch.dtype) else dtype.kind == "f"
    return "floats" if is_float else "integers"
