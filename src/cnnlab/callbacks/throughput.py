"""Measures how long training takes, how many images it sees in a second, and where the time goes."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from cnnlab.speed import threads
from cnnlab.speed.device_time import DeviceTime
from cnnlab.speed.stopwatch import Stopwatch


class Throughput(Callback):
    """Measure the time of training epochs without validation, and of each stage; for a resumed run, of all its parts.

    It logs once per epoch, with the epoch as x:

    | tag | meaning |
    | --- | --- |
    | throughput/images_per_second | training images a second, validation excluded |
    | throughput/data_wait | share of the epoch in which Python waited for the next batch |
    | throughput/copy | share spent moving batches to the device |
    | throughput/forward_backward, throughput/optimizer | shares of the network and of the optimizer's step |
    | throughput/validation | share of validation |
    | throughput/overhead | the rest: logging, callbacks, schedule, Lightning |

    The shares are measured in Python. On an accelerator they are therefore the time to launch the work, not the time
    that the work takes, for which see `device_busy`. The profiler of the Trainer must be a Stopwatch.

    Attributes:
        train_seconds: of all epochs so far, without validation.
        num_images, num_steps: seen and done in that time.
        seconds: of each stage, all epochs so far.
        device_busy: share of its time that a CUDA device computes, from one step; None elsewhere.
        core_share: the share of the time in which the training thread of this process had a CPU core, out of the time
            in which it wanted one; see speed/threads.py.
    """

    def __init__(self) -> None:
        self.train_seconds = 0.0
        self.num_images = 0
        self.num_steps = 0
        self.seconds: dict[str, float] = {}
        self.device_busy: float | None = None
        self._device_time: DeviceTime | None = None
        self._epoch_seconds = self._validation_seconds = 0.0
        self._epoch_images = self._epoch_steps = 0
        self._had_core = self._wanted_core = 0.0
        self._core_began = (0.0, 0.0)
        self._began: float | None = None
        self._validation_began = 0.0
        self._stages: dict[str, float] = {}

    @property
    def images_per_second(self) -> float:
        return self.num_images / self.train_seconds if self.train_seconds else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """Each stage's share of the time of all epochs; empty if it was not measured."""
        total = sum(self.seconds.values())
        return {stage: seconds / total for stage, seconds in self.seconds.items()} if total else {}

    @property
    def core_share(self) -> float:
        return min(self._had_core / self._wanted_core, 1.0) if self._wanted_core else 1.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch_seconds = self._validation_seconds = 0.0
        self._epoch_images = self._epoch_steps = 0
        if stopwatch := _stopwatch(trainer):
            self._stages = dict(stopwatch.seconds)
        if self._device_time is None and pl_module.device.type == "cuda":
            self._device_time = DeviceTime(pl_module.device, trainer.num_training_batches)
        self._start(pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._epoch_images += batch[0].shape[0] * trainer.world_size
        self._epoch_steps += 1
        if self._device_time is not None:
            self._device_time.after_step(batch_idx)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop(pl_module)
        self._validation_began = time.perf_counter()
        if stopwatch := _stopwatch(trainer):
            stopwatch.pause()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if stopwatch := _stopwatch(trainer):
            stopwatch.go_on()
        if trainer.state.fn == TrainerFn.FITTING:
            self._validation_seconds += time.perf_counter() - self._validation_began
            self._start(pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop(pl_module)
        self.train_seconds += self._epoch_seconds
        self.num_images += self._epoch_images
        self.num_steps += self._epoch_steps
        values = {"images_per_second": self._epoch_images / max(self._epoch_seconds, 1e-9)}
        if stopwatch := _stopwatch(trainer):
            values |= self._split_epoch(stopwatch)
        if self._device_time is not None and self._epoch_steps:  # the last epoch counts, because the first is slower
            self.device_busy = self._device_time.busy_share(self._epoch_seconds / self._epoch_steps)
        logged = {f"throughput/{name}": value for name, value in values.items()}
        pl_module.log_dict({**logged, "step": float(trainer.current_epoch + 1)}, sync_dist=True)

    def state_dict(self) -> dict[str, Any]:
        names = ("train_seconds", "num_images", "num_steps", "seconds", "device_busy")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, value in state_dict.items():
            setattr(self, name, value)

    def _split_epoch(self, stopwatch: Stopwatch) -> dict[str, float]:
        """Add the epoch's stages to `seconds` and return their shares of the epoch."""
        stages = {name: seconds - self._stages[name] for name, seconds in stopwatch.seconds.items()}
        stages["overhead"] = max(self._epoch_seconds - sum(stages.values()), 0.0)
        stages["validation"] = self._validation_seconds
        for name, seconds in stages.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        total = max(sum(stages.values()), 1e-9)
        return {name: seconds / total for name, seconds in stages.items()}

    def _start(self, pl_module: LightningModule) -> None:
        _wait_for(pl_module.device)
        self._began, self._core_began = time.perf_counter(), threads.core_time()

    def _stop(self, pl_module: LightningModule) -> None:
        if self._began is not None:
            _wait_for(pl_module.device)
            self._epoch_seconds += time.perf_counter() - self._began
            had, wanted = threads.core_time()
            self._had_core += had - self._core_began[0]
            self._wanted_core += wanted - self._core_began[1]
            self._began = None


def _stopwatch(trainer: Trainer) -> Stopwatch | None:
    profiler = trainer.profiler  # type: ignore[attr-defined]
    return profiler if isinstance(profiler, Stopwatch) else None


def _wait_for(device: torch.device) -> None:
    """Wait until the accelerator has done its work: Python runs ahead of it, and a clock would be read too early."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
