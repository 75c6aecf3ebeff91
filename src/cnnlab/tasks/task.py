"""The base of the LightningModules of this project: what a step and an epoch do, whatever the network has to learn."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric, MetricCollection

from cnnlab.optimization import optimization
from cnnlab.tasks.epoch_totals import EpochTotals
from cnnlab.tasks.metrics import collected

Batch = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]


class Task(LightningModule):
    """Trains `model` and scores it; a subclass says which loss it learns by and what its outputs mean.

    It logs <split>/loss and <split>/<score> for train, val and test, with the epoch as x, counted from 1. Sums stay
    on the device and are read once an epoch, so that no step waits for the device; if the run has several processes,
    their sums are added up then. Further metrics are computed in val and test only, because they cost time.

    Args:
        model: maps (N, *input_shape) to outputs (N, num_outputs).
        optimizer: takes the parameters, returns the optimizer.
        scheduler: takes the optimizer, see optimization.
        loss: of the training, the mean of a batch.
        eval_loss: of val and test.
        metrics: further ones of val and test: names of metrics.choices, or objects of torchmetrics.

    Raises:
        ValueError: for a metric that the task does not have, or a batch whose shape is not (N, *input_shape).
    """

    targets: ClassVar[str]  # what the data must hold: classes, multilabel or values
    score: ClassVar[str]  # the name of the number that is summed up beside the loss

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., LRScheduler],
        input_shape: Sequence[int],
        num_outputs: int,
        loss: Loss,
        eval_loss: Loss,
        metrics: Sequence[str | Metric] = (),
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.input_shape = torch.Size(input_shape)
        self.loss, self.eval_loss = loss, eval_loss
        self.train_totals, self.val_totals, self.test_totals = EpochTotals(), EpochTotals(), EpochTotals()
        found = collected(metrics, self.targets, num_outputs, logged_anyway=("loss", self.score))
        self.val_metrics, self.test_metrics = found.clone(prefix="val/"), found.clone(prefix="test/")

    @property
    def monitorable(self) -> tuple[str, ...]:
        """The numbers by which a run can be judged."""
        own = [f"{split}/{name}" for split in ("val", "train") for name in (self.score, "loss")]
        return (*own, *map(str, self.val_metrics.keys(keep_base=False)))

    @abstractmethod
    def score_sum(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the sum of the batch's scores, of which <split>/<score> is the mean."""

    @abstractmethod
    def compared(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the metrics compare: probabilities or values, float32, and the targets."""

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.shape[1:] != self.input_shape:
            expected = ", ".join(["N", *map(str, self.input_shape)])
            raise ValueError(f"expected ({expected}), got {tuple(inputs.shape)}")
        outputs: Tensor = self.model(inputs)
        return outputs

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        inputs, targets = batch
        outputs = self(inputs)
        loss = self.training_loss(inputs, outputs, targets)
        self.train_totals.add(loss, self.score_sum(outputs.detach(), targets), len(targets))
        return loss

    def training_loss(self, inputs: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch, from what the network was given, what it answered and what is right."""
        return self.loss(outputs, targets)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch, self.val_totals, self.val_metrics)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch, self.test_totals, self.test_metrics)

    def on_train_epoch_end(self) -> None:
        self._log_epoch("train", self.train_totals)

    def on_validation_epoch_end(self) -> None:
        self._log_epoch("val", self.val_totals, self.val_metrics)

    def on_test_epoch_end(self) -> None:
        self._log_epoch("test", self.test_totals, self.test_metrics)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return optimization(self, self.optimizer, self.scheduler)

    def _evaluate(self, batch: Batch, totals: EpochTotals, metrics: MetricCollection) -> Tensor:
        inputs, targets = batch
        outputs: Tensor = self(inputs)
        totals.add(self.eval_loss(outputs, targets), self.score_sum(outputs, targets), len(targets))
        if metrics:
            metrics.update(*self.compared(outputs, targets))
        return outputs

    def _log_epoch(self, split: str, totals: EpochTotals, metrics: MetricCollection | None = None) -> None:
        loss, score = totals.compute_and_reset(self._summed_over_processes)
        # Lightning takes a logged "step" as x. With the epoch as x, curves of different batch sizes can be compared.
        epoch = self.current_epoch + (split != "test")
        values = {f"{split}/loss": loss, f"{split}/{self.score}": score, "step": float(epoch)}
        if metrics:
            values |= {name: float(value.float().mean()) for name, value in metrics.compute().items()}
            metrics.reset()
        self.log_dict(values, sync_dist=True)

    def _summed_over_processes(self, sums: Tensor) -> Tensor:
        if self.trainer.world_size == 1:
            return sums
        summed: Tensor = self.trainer.strategy.reduce(sums.to(self.device), reduce_op="sum")
        return summed
