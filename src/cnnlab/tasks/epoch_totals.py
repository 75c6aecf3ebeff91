"""Sums of an epoch, kept on the device."""

from collections.abc import Callable

import torch
from torch import Tensor


class EpochTotals:
    """Sums up the loss and the score of an epoch on the device, without waiting for it."""

    def __init__(self) -> None:
        self._loss, self._score = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        self._num_samples = 0

    def add(self, loss: Tensor, score: Tensor, num_samples: int) -> None:
        """Add a batch: the mean of its losses, and the sum of its scores."""
        self._loss = torch.add(self._loss.to(loss.device), loss.detach(), alpha=num_samples)
        self._score = score + self._score
        self._num_samples += num_samples

    def so_far(self) -> tuple[Tensor, Tensor, int]:
        """Return the sums of loss and score, on their device, and the number of samples in them."""
        return self._loss, self._score, self._num_samples

    def compute_and_reset(self, summed: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        """Return mean loss and mean score of all samples since the last call.

        Args:
            summed: adds up the sums, float64 (3,), of all processes of the run.
        """
        totals = torch.tensor([float(self._loss), float(self._score), self._num_samples], dtype=torch.float64)
        loss, score, num_samples = summed(totals).tolist()
        self._loss, self._score = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        self._num_samples = 0
        return loss / max(num_samples, 1), score / max(num_samples, 1)
