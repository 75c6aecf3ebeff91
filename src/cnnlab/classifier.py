"""The LightningModule for any network that maps inputs to class logits."""

from collections.abc import Callable, Iterable, Sequence

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics.classification import MulticlassConfusionMatrix

from cnnlab.optimization import optimization

Batch = tuple[Tensor, Tensor]


class Classifier(LightningModule):
    """Cross-entropy training of `model`, with loss and accuracy per epoch.

    It logs <split>/loss and <split>/accuracy for train, val and test, with the epoch as x, counted from 1. Sums stay
    on the device and are read once an epoch, so that no step waits for the device; if the run has several processes,
    their sums are added up then. After a test, `test_confusion` holds the counts (num_classes, num_classes): a row for
    each true class, a column for each predicted class.

    Args:
        model: maps (N, *input_shape) to logits (N, num_classes).
        optimizer: takes the parameters, returns the optimizer.
        scheduler: takes the optimizer, see optimization.
        label_smoothing: share of the target spread evenly over all classes (Szegedy et al., 2016, section 7).

    Raises:
        ValueError: for a batch whose shape is not (N, *input_shape).
    """

    targets = "classes"
    monitorable = ("val/accuracy", "val/loss", "train/accuracy", "train/loss")

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., LRScheduler],
        input_shape: Sequence[int],
        num_classes: int,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must be between 0 and 1, got {label_smoothing}")
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.input_shape = torch.Size(input_shape)
        self.label_smoothing = label_smoothing
        self.train_totals, self.val_totals, self.test_totals = EpochTotals(), EpochTotals(), EpochTotals()
        self.confusion = MulticlassConfusionMatrix(num_classes)
        self.test_confusion: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.shape[1:] != self.input_shape:
            expected = ", ".join(["N", *map(str, self.input_shape)])
            raise ValueError(f"expected ({expected}), got {tuple(inputs.shape)}")
        logits: Tensor = self.model(inputs)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        inputs, labels = batch
        logits = self(inputs)
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        self.train_totals.add(loss, logits, labels)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        inputs, labels = batch
        logits = self(inputs)
        self.val_totals.add(functional.cross_entropy(logits, labels), logits, labels)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        inputs, labels = batch
        logits = self(inputs)
        self.test_totals.add(functional.cross_entropy(logits, labels), logits, labels)
        self.confusion.update(logits.argmax(dim=1), labels)

    def on_train_epoch_end(self) -> None:
        self._log_totals("train", self.train_totals)

    def on_validation_epoch_end(self) -> None:
        self._log_totals("val", self.val_totals)

    def on_test_epoch_end(self) -> None:
        self._log_totals("test", self.test_totals)
        self.test_confusion = self.confusion.compute().cpu()
        self.confusion.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return optimization(self, self.optimizer, self.scheduler)

    def _log_totals(self, split: str, totals: "EpochTotals") -> None:
        loss, accuracy = totals.compute_and_reset(self._summed_over_processes)
        # Lightning takes a logged "step" as x. With the epoch as x, curves of different batch sizes can be compared.
        epoch = self.current_epoch + (split != "test")
        values = {f"{split}/loss": loss, f"{split}/accuracy": accuracy, "step": float(epoch)}
        self.log_dict(values, sync_dist=True)

    def _summed_over_processes(self, sums: Tensor) -> Tensor:
        if self.trainer.world_size == 1:
            return sums
        summed: Tensor = self.trainer.strategy.reduce(sums.to(self.device), reduce_op="sum")
        return summed


class EpochTotals:
    """Sums up the loss and the correct predictions of an epoch on the device, without waiting for it."""

    def __init__(self) -> None:
        self._loss, self._num_correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        self._num_samples = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        num_samples = labels.shape[0]
        if labels.dim() == 2:  # shares of the classes in mixed samples, see augment.augmented: the largest counts
            labels = labels.argmax(dim=1)
        self._loss = torch.add(self._loss.to(loss.device), loss.detach(), alpha=num_samples)
        self._num_correct = (logits.detach().argmax(dim=1) == labels).sum() + self._num_correct
        self._num_samples += num_samples

    def so_far(self) -> tuple[dict[str, Tensor], int]:
        """Return the sums of loss and correct predictions, on their device, and the number of samples in them."""
        return {"loss": self._loss, "accuracy": self._num_correct}, self._num_samples

    def compute_and_reset(self, summed: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        """Return mean loss and accuracy (0 to 1) of all samples since the last call.

        Args:
            summed: adds up the sums, float64 (3,), of all processes of the run.
        """
        totals = torch.tensor([float(self._loss), float(self._num_correct), self._num_samples], dtype=torch.float64)
        loss, num_correct, num_samples = summed(totals).tolist()
        self._loss, self._num_correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        self._num_samples = 0
        return loss / max(num_samples, 1), num_correct / max(num_samples, 1)
