"""Shows a progress bar while a network is trained or tested, and logs one line per epoch."""

import logging
import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

log = logging.getLogger(__name__)


class Progress(ProgressBar):
    """A tqdm bar over the steps of an epoch or a test, on a terminal only, and a logged line when the epoch is over.

    The line shows the last validation of the epoch, or "no validation".
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm[Any] | None = None
        self._epoch_began = 0.0
        self._finished_epoch: int | None = None
        self._epoch_seconds = 0.0
        self._has_validated = False

    def disable(self) -> None:
        self._close()

    def enable(self) -> None:
        pass

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._report(trainer)
        self._has_validated = False
        self._epoch_began = time.perf_counter()
        self._open(f"epoch {trainer.current_epoch + 1}{_of(trainer)}", trainer.num_training_batches)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._bar is not None:
            self._bar.update()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._has_validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()
        self._finished_epoch = trainer.current_epoch + 1
        self._epoch_seconds = time.perf_counter() - self._epoch_began

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._report(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._open("test", sum(trainer.num_test_batches))

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self._bar is not None:
            self._bar.update()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def _report(self, trainer: Trainer) -> None:
        """Log the line of the finished epoch, after all other callbacks have logged their numbers."""
        if self._finished_epoch is None:
            return
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if name != "step"}
        parts = [f"epoch {self._finished_epoch}{_of(trainer)}"]
        for split in ("train/", "val/") if self._has_validated else ("train/",):
            for name in sorted(name for name in metrics if name.startswith(split)):
                is_accuracy = name.endswith("/accuracy")
                parts.append(f"{name} {metrics[name]:.2%}" if is_accuracy else f"{name} {metrics[name]:.4f}")
        if not self._has_validated:
            parts.append("no validation")  # Lightning still has the numbers of an earlier one
        parts.append(f"{self._epoch_seconds:.1f} s")
        if "throughput/images_per_second" in metrics:
            noun = getattr(getattr(trainer, "datamodule", None), "noun", "samples")
            parts.append(f"{metrics['throughput/images_per_second']:,.0f} {noun}/s")
        log.info("  ".join(parts))
        self._finished_epoch = None

    def _open(self, title: str, num_steps: float) -> None:
        self._bar = tqdm(
            total=int(num_steps) if num_steps != float("inf") else None,
            desc=title,
            unit=" steps",
            leave=False,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _of(trainer: Trainer) -> str:
    return f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
