"""Test-time shifts: one answer from a sample and its copies that are moved by a few positions."""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from cnnlab.errors import UserError
from cnnlab.runs.commands import short_path
from cnnlab.saved_run import SavedModel


class MeanOverShifts(nn.Module):
    """Maps (N, C, *spatial) to the logarithm of the network's mean probabilities, (N, num_classes).

    The mean is over all moves by up to max_pixels in either direction of every spatial dim, among them the sample as it
    is: nine for images and one pixel. What moves in from outside is background.

    Args:
        network: maps (N, C, *spatial) to logits.
        background: what zero becomes by the normalisation of each channel, (C,).
    """

    background: Tensor

    def __init__(self, network: nn.Module, max_pixels: int, background: Tensor) -> None:
        super().__init__()
        self.network, self.max_pixels = network, max_pixels
        self.register_buffer("background", background)

    def forward(self, x: Tensor) -> Tensor:
        sides, margin = x.shape[2:], self.max_pixels
        padded = self.background.to(x.dtype).reshape(-1, *[1] * len(sides))
        padded = padded.expand(*x.shape[:2], *[side + 2 * margin for side in sides]).clone()
        padded[_window([margin] * len(sides), sides)] = x
        moves = list(product(range(2 * margin + 1), repeat=len(sides)))
        answers = [self.network(padded[_window(move, sides)]).float().log_softmax(dim=1) for move in moves]
        return torch.stack(answers).logsumexp(dim=0) - math.log(len(moves))


def _window(starts: Sequence[int], sides: Sequence[int]) -> Any:
    """The index of a window with these sides, for all samples and channels."""
    return (..., *[slice(start, start + side) for start, side in zip(starts, sides, strict=True)])


def with_shifts(saved: SavedModel, shifts: int) -> SavedModel:
    """The run with a network that answers by its mean over shifts.

    Args:
        shifts: by up to how many positions in either direction.

    Raises:
        UserError: if shifts is below 1 or half of a side, or the run's samples do not have one class each or cannot be
            moved.
    """
    sides = saved.data["input_shape"][1:]
    if not saved.learns_classes or not sides:
        learns = saved.targets_in_words if sides else "texts"
        raise UserError(
            f"shifts= moves samples that have one class each, but {short_path(saved.folder)} learns {learns}; "
            "leave it out"
        )
    largest = (min(sides) - 1) // 2
    if not isinstance(shifts, int) or not 1 <= shifts <= largest:
        shape = "x".join(map(str, sides))
        raise UserError(f"shifts must be a whole number from 0 to {largest} for data of {shape}, got {shifts}")
    mean, std = (torch.tensor(saved.data[name], dtype=torch.float32) for name in ("mean", "std"))
    return saved._replace(model=MeanOverShifts(saved.model, shifts, -mean / std))
