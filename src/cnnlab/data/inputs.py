"""Input values as they are kept: uint8 for images, float32 for anything else, every one of them a finite number."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def as_stored(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers of any type as uint8, where they are that already, or as this machine's float32.

    What float32 cannot hold becomes infinite, see num_not_finite.
    """
    if values.dtype == np.uint8:
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def num_not_finite(inputs: Tensor) -> int:
    """How many of the samples (N, …) hold NaN or infinity."""
    if not inputs.is_floating_point():
        return 0
    finite = inputs.isfinite()
    return 0 if finite.all() else int((~finite).flatten(1).any(dim=1).sum())


def kind(dtype: "np.dtype[Any] | torch.dtype") -> str:
    """What values of a type mean: uint8 is an image's 0 to 255; integers and floats are rarely of one scale."""
    name = str(dtype).removeprefix("torch.")
    if name in ("uint8", "bool"):
        return name
    is_float = dtype.is_floating_point if isinstance(dtype, torch.dtype) else dtype.kind == "f"
    return "floats" if is_float else "integers"
