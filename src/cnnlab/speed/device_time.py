"""How much of its time a CUDA device computes: the answer to "why is training on a GPU not faster?"."""

from time import perf_counter

import torch

from cnnlab.speed.torch_internals import sleep_on_device

# Kernels and memory are warm by then.
_SAMPLED_STEP = 50
# While the device sleeps, Python launches a whole step: so long a sleep as a few steps, and never longer than this.
_STEPS_ASLEEP, _MAX_SECONDS_ASLEEP = 4, 0.1
_CYCLES_PER_SECOND = 2_000_000_000  # no GPU's clock is much faster; a slower one sleeps longer, which does no harm


class DeviceTime:
    """The time one step needs on the device when nothing keeps the device waiting.

    Between the steps before and after it the device is put to sleep, a whole step is launched meanwhile, and two CUDA
    events around it tell how long the device then works on it without a pause. That costs a run a few milliseconds.

    Args:
        num_batches: of an epoch; in a short one an earlier step is taken.
    """

    def __init__(self, device: torch.device, num_batches: float) -> None:
        self.device = device
        self.step = int(min(_SAMPLED_STEP, num_batches - 1))
        self._first_ended = 0.0
        self._started = self._ended = False
        self._start, self._end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]

    def after_step(self, batch_idx: int) -> None:
        """To be called after every step of the first epoch."""
        if self._ended or batch_idx > self.step:
            return
        if batch_idx == self.step - 2:
            self._first_ended = perf_counter()
        elif batch_idx == self.step - 1:
            seconds = min(_STEPS_ASLEEP * (perf_counter() - self._first_ended), _MAX_SECONDS_ASLEEP)
            torch.cuda.synchronize(self.device)
            sleep_on_device(int(seconds * _CYCLES_PER_SECOND))
            self._start.record()
            self._started = True
        elif batch_idx == self.step and self._started:
            self._end.record()
            self._ended = True

    def busy_share(self, seconds_per_step: float) -> float | None:
        """The device's share of a step that takes so long by the clock; None if no step was sampled."""
        if not self._ended:
            return None
        torch.cuda.synchronize(self.device)
        milliseconds: float = self._start.elapsed_time(self._end)
        return min(milliseconds / 1000 / seconds_per_step, 1.0)
