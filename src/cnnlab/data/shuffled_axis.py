"""One fixed permutation of the columns, rows, pixels, time steps or words of all samples.

Convolutions look for patterns of neighbours. A network that scores as well on shuffled data did not need them, and
then a CNN may not be the tool.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from cnnlab.errors import UserError

Axis = Literal["none", "columns", "rows", "pixels", "time", "words"]

# Which spatial dims an axis permutes, counted from the end, or all of them together.
_DIMS = {"columns": -1, "rows": -2, "time": -1, "words": -1}
_AXES_OF_KINDS = {
    "image": ("columns", "rows", "pixels"),
    "volume": ("columns", "rows", "pixels"),
    "spectrogram": ("time", "rows", "pixels"),
    "series": ("time",),
    "audio": ("time",),
    "text": ("words",),
}


class ShuffledAxis:
    """Reorders samples (…, C, *spatial) in the same way, whichever split they are from.

    Args:
        axis: columns and rows are the last and the last but one spatial dim, time and words the last; pixels are the
            positions in all spatial dims together.
        kind: of the data, see DataModule.kind.
        sample_shape: (C, *spatial).
        seed: of the permutation.

    Raises:
        UserError: for an axis that data of this kind do not have.
    """

    def __init__(self, axis: Axis, kind: str, sample_shape: tuple[int, ...], seed: int) -> None:
        if axis not in _AXES_OF_KINDS[kind]:
            choices = ", ".join(("none", *_AXES_OF_KINDS[kind]))
            raise UserError(f"shuffle_axis must be one of {choices} for data of the kind {kind}, got {axis}")
        self._num_spatial_dims = len(sample_shape) - 1
        self._dim = _DIMS.get(axis)  # None: pixels
        size = math.prod(sample_shape[1:]) if self._dim is None else sample_shape[self._dim]
        self.order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "ShuffledAxis | None":
        """Of the data set with this description, see DataModule.description; None if nothing is reordered."""
        axis = data.get("shuffle_axis", "none")
        return None if axis == "none" else cls(axis, data["kind"], tuple(data["input_shape"]), data["seed"])

    def __call__(self, samples: Tensor) -> Tensor:
        return self._reordered(samples, self.order)

    def undo(self, samples: Tensor) -> Tensor:
        """Give reordered samples (…, C, *spatial) their own order back."""
        return self._reordered(samples, self.order.argsort())

    def _reordered(self, samples: Tensor, order: Tensor) -> Tensor:
        order = order.to(samples.device)
        if self._dim is not None:
            return samples.index_select(self._dim, order)
        return samples.flatten(-self._num_spatial_dims).index_select(-1, order).reshape(samples.shape)
