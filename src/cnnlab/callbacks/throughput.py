"""How long training took and how many images it saw in a second."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn


class Throughput(Callback):
    """Time in training epochs, validation excluded, summed over the parts of a resumed run.

    Logs throughput/images_per_second per epoch with the epoch as x.

    Attributes:
        train_seconds: of all epochs so far.
        num_images: training images seen in that time.
    """

    def __init__(self) -> None:
        self.train_seconds = 0.0
        self.num_images = 0
        self._epoch_seconds = 0.0
        self._epoch_images = 0
        self._began: float | None = None

    @property
    def images_per_second(self) -> float:
        return self.num_images / self.train_seconds if self.train_seconds else 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch_seconds, self._epoch_images = 0.0, 0
        self._start(pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._epoch_images += len(batch[0]) * trainer.world_size

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._start(pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop(pl_module)
        self.train_seconds += self._epoch_seconds
        self.num_images += self._epoch_images
        rate = self._epoch_images / max(self._epoch_seconds, 1e-9)
        pl_module.log_dict({"throughput/images_per_second": rate, "step": float(trainer.current_epoch + 1)})

    def state_dict(self) -> dict[str, Any]:
        return {"train_seconds": self.train_seconds, "num_images": self.num_images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.train_seconds, self.num_images = state_dict["train_seconds"], state_dict["num_images"]

    def _start(self, pl_module: LightningModule) -> None:
        _wait_for(pl_module.device)
        self._began = time.perf_counter()

    def _stop(self, pl_module: LightningModule) -> None:
        if self._began is not None:
            _wait_for(pl_module.device)
            self._epoch_seconds += time.perf_counter() - self._began
            self._began = None


def _wait_for(device: torch.device) -> None:
    """An accelerator works on after Python has moved on: a clock is honest only once it is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
