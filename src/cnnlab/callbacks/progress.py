"""Shows a progress bar while a network is trained or tested, and logs one line per epoch."""

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from cnnlab.callbacks.live_numbers import LiveNumbers
from cnnlab.colours import coloured
from cnnlab.notation import shown_metric, without_repetition
from cnnlab.tasks.epoch_totals import EpochTotals

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 0.25  # at the numbers that the bar shows
# The scores of an epoch in the order in which its line names them; all others follow by name.
_FIRST = ("accuracy", "loss")


class Progress(ProgressBar):
    """A tqdm bar over the steps of an epoch or a test, on a terminal only, and a logged line when the epoch is over.

    The bar shows the mean loss and accuracy of the epoch so far and the time that the whole training still takes. It
    takes them a few times a second from the sums that the module keeps as `train_totals`; no step does more work for
    it. The line shows the last validation of the epoch, or "no validation".
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm[Any] | None = None
        self._epoch_began = 0.0
        self._finished_epoch: int | None = None
        self._epoch_seconds = 0.0
        self._has_validated = False
        self._live = LiveNumbers()
        self._fit_began, self._first_step = 0.0, 0

    def disable(self) -> None:
        self._close()

    def enable(self) -> None:
        pass

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._fit_began, self._first_step = time.perf_counter(), trainer.global_step

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._report(trainer)
        self._has_validated = False
        self._epoch_began = time.perf_counter()
        self._live = LiveNumbers()
        self._open(f"epoch {trainer.current_epoch + 1}{_of(trainer)}", trainer.num_training_batches)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._bar is not None and self._bar.update():  # it was drawn anew
            self._bar.set_postfix_str(self._numbers(trainer, pl_module), refresh=False)

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
        parts = [coloured(f"epoch {self._finished_epoch:>{len(_of(trainer)) - 1}}{_of(trainer)}", "bold")]
        for split in ("train", "val") if self._has_validated else ("train",):
            scores = {name.partition("/")[2]: value for name, value in metrics.items() if name.startswith(f"{split}/")}
            parts.append(f"{coloured(split, 'dim')} {_shown(scores)}")
        if not self._has_validated:
            parts.append("no validation")  # Lightning still has the numbers of an earlier one
        parts.append(f"{self._epoch_seconds:.1f} s")
        if "throughput/images_per_second" in metrics:
            parts.append(f"{metrics['throughput/images_per_second']:,.0f}/s")
        log.info("  ".join(parts))
        self._finished_epoch = None

    def _numbers(self, trainer: Trainer, pl_module: LightningModule) -> str:
        """Return the scores of the epoch so far and the time that is left, as far as they are known."""
        parts = []
        totals = getattr(pl_module, "train_totals", None)
        if isinstance(totals, EpochTotals):
            loss, score, num_samples = totals.so_far()
            if scores := self._live.read({"loss": loss, str(getattr(pl_module, "score", "score")): score}, num_samples):
                parts.append(_shown(scores))
        steps_done = trainer.global_step - self._first_step
        steps_left = trainer.estimated_stepping_batches - trainer.global_step
        if steps_done and steps_left != float("inf"):
            seconds = (time.perf_counter() - self._fit_began) / steps_done * steps_left
            parts.append(f"{tqdm.format_interval(round(seconds))} left")
        return "  ".join(parts)

    def _open(self, title: str, num_steps: float) -> None:
        self._bar = tqdm(
            total=int(num_steps) if num_steps != float("inf") else None,
            desc=title,
            bar_format=f"{{desc}} {coloured('{bar}', 'cyan')} {{n_fmt}}/{{total_fmt}}{{postfix}}",
            mininterval=_SECONDS_BETWEEN_LOOKS,
            leave=False,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _shown(scores: Mapping[str, float]) -> str:
    """Return scores in one line: accuracy without its name, for the per cent sign tells what it is."""
    scores = without_repetition(scores)
    names = sorted(scores, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))
    texts = [(f"{name} " if name != "accuracy" else "") + shown_metric(name, scores[name]) for name in names]
    return " ".join(texts)


def _of(trainer: Trainer) -> str:
    """Return the number of epochs after a stroke, or nothing if there is no end."""
    return f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
