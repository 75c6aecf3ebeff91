"""Finds the dim of an array that holds the channels."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cnnlab.errors import UserError

Channels = Literal["first", "last", "none"]

# Enough for grey, grey with alpha, RGB and RGBA images, and for mono and stereo sound.
_MOST_CHANNELS = 4


def find_channels(sample_shape: Sequence[int]) -> Channels:
    """Guess from the shape of one sample: a first or last dim of 1 to 4 is the channels, otherwise there are none.

    Raises:
        UserError: if both dims could be the channels.
    """
    if len(sample_shape) < 2:
        return "none"
    first, last = sample_shape[0] <= _MOST_CHANNELS, sample_shape[-1] <= _MOST_CHANNELS
    if first and last:
        shape = "x".join(map(str, sample_shape))
        raise UserError(f"cannot tell the channels of {shape} samples; give data.channels=first, last or none")
    return "first" if first else "last" if last else "none"


def channels_first(array: NDArray[Any], channels: Channels, num_batch_dims: int = 1) -> NDArray[Any]:
    """View an array (*batch, sample) as (*batch, C, *spatial)."""
    if channels == "last":
        return np.moveaxis(array, -1, num_batch_dims)
    return np.expand_dims(array, num_batch_dims) if channels == "none" else array
