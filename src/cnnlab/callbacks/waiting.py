"""Lets the threads of a training step sleep on a busy machine, instead of spin, while they wait for each other."""

import threading

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from cnnlab.speed import threads

# If the training thread has no core for more than this share of the time in which it wants one, the machine is busy.
_BUSY = 0.1
_MOST_SLEEPERS = 8
_ENOUGH_FOR_ALL_THREADS = 2**18  # elements of a tensor: torch divides no smaller one among its threads


class Waiting(Callback):
    """Decide at the start of the training and after each epoch whether CPU threads spin or sleep while they wait.

    Spinning is faster on a quiet machine. On a busy one it takes the core away from the thread that is waited for, so
    sleeping is many times faster. The results are the same to the bit. libgomp, the thread library of torch on Linux,
    reads its settings only when it is loaded, but it spins less while it has more threads than there are cores. So on
    a busy machine this callback adds a few threads that do nothing. Other thread libraries are not affected.
    """

    def __init__(self) -> None:
        self._sleepers: list[_Sleeper] = []
        self._before = (0.0, 0.0)  # so the first measurement covers the time since the process began

    @property
    def is_asleep(self) -> bool:
        return bool(self._sleepers)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if pl_module.device.type == "cpu" and threads.is_left_to_us():
            self._choose()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_train_start(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._wake()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._wake()

    def _choose(self) -> None:
        now = threads.core_time()
        had, wanted = (after - before for after, before in zip(now, self._before, strict=True))
        self._before = now
        is_busy = had < (1 - _BUSY) * wanted
        if is_busy and not self._sleepers:
            self._sleepers = [
                _Sleeper() for _ in range(number_of_sleepers(torch.get_num_threads(), threads.allowed_cpus()))
            ]
        elif not is_busy:
            self._wake()

    def _wake(self) -> None:
        for sleeper in self._sleepers:
            sleeper.end()
        self._sleepers = []


def number_of_sleepers(num_threads: int, num_cores: int) -> int:
    """Return how many sleepers, each with its own threads, make more threads than cores; 0 if that were too many."""
    if num_threads == 1:
        return 0
    wanted = -(-num_cores // (num_threads - 1)) - 1
    return wanted if wanted <= _MOST_SLEEPERS else 0


class _Sleeper:
    """A thread that has computed with threads of its own once, which makes libgomp keep them, and then does nothing."""

    def __init__(self) -> None:
        self._awake, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="sleeper", daemon=True)
        self._thread.start()
        self._awake.wait()

    def _run(self) -> None:
        torch.zeros(_ENOUGH_FOR_ALL_THREADS).add_(1)
        self._awake.set()
        self._end.wait()

    def end(self) -> None:
        self._end.set()
        self._thread.join()
