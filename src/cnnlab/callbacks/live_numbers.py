"""The mean loss and accuracy of an epoch while it goes on, without making an accelerator wait."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class LiveNumbers:
    """Reads sums that lie on a device.

    On the CPU they are read at once. From an accelerator they are copied without waiting, behind the work that it still
    has to do, and `read` returns them once they have arrived, which is usually the next time that it is asked.
    """

    def __init__(self) -> None:
        self._newest: dict[str, float] = {}
        self._copy: tuple[dict[str, Tensor], int, Any] | None = None  # what is under way, and the event of its arrival

    def read(self, sums: Mapping[str, Tensor], num_samples: int) -> dict[str, float]:
        """Return the newest known means.

        Args:
            sums: by name, each a tensor of one number.
            num_samples: the number of samples in each sum.
        """
        device = next(iter(sums.values())).device.type
        if device == "cpu":
            return {name: float(value) / max(num_samples, 1) for name, value in sums.items()}
        if self._copy is not None and self._copy[2].query():
            copied, number, _ = self._copy
            self._newest = {name: float(value) / max(number, 1) for name, value in copied.items()}
            self._copy = None
        if self._copy is None and device in _EVENTS:
            copies = {name: _copied(value) for name, value in sums.items()}
            event = _EVENTS[device]()
            event.record()
            self._copy = copies, num_samples, event
        return self._newest


_EVENTS: dict[str, Any] = {"cuda": torch.cuda.Event, "mps": torch.mps.event.Event}


def _copied(value: Tensor) -> Tensor:
    """Start copying to the CPU. CUDA copies without waiting only into pinned memory."""
    target = torch.empty((), dtype=value.dtype, pin_memory=value.device.type == "cuda")
    return target.copy_(value, non_blocking=True)
