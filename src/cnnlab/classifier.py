"""The LightningModule for any network that maps inputs to class logits."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from cnnlab.tasks import losses
from cnnlab.tasks.task import Batch, Loss, Task


class Classifier(Task):
    """Tells which of several classes a sample belongs to, trained by cross-entropy unless another loss is given.

    The losses of val and test are without class weights and label smoothing, so that runs can be compared. After a
    test, `test_confusion` holds the counts (num_classes, num_classes): a row for each true class, a column for each
    predicted class. Targets are class numbers (N,), in training also shares of each class (N, num_classes).

    Args:
        model: maps (N, *input_shape) to logits (N, num_classes).
        optimizer, scheduler: see Task.
        label_smoothing: share of the target spread evenly over all classes (Szegedy et al., 2016, section 7).
        class_weights: by which the loss of each class is multiplied in training: one number for each class in the
            order of the classes; or balanced, which is n / (k * n_c) for class c with n_c of the n training samples of
            k classes.
        class_counts: the number of training samples of each class, for balanced.
        loss: a loss of torch.nn by its name, or an object; None: cross-entropy.
        metrics: further ones of val and test, by their names: f1, auroc, …

    Raises:
        ValueError: for settings that do not fit together.
    """

    targets = "classes"
    score = "accuracy"

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., LRScheduler],
        input_shape: Sequence[int],
        num_classes: int,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | Literal["balanced"] | None = None,
        class_counts: Sequence[int] | None = None,
        loss: str | nn.Module | None = None,
        metrics: Sequence[str | Metric] = (),
    ) -> None:
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must be between 0 and 1, got {label_smoothing}")
        weights = losses.class_weights(class_weights, class_counts, num_classes)
        # Functions, because the call of a module costs some microseconds.
        train_loss: Loss = partial(functional.cross_entropy, label_smoothing=label_smoothing)
        eval_loss: Loss = functional.cross_entropy
        if loss is not None:
            if label_smoothing:
                raise ValueError("label_smoothing is an argument of cross-entropy; give it to the loss, or loss=null")
            chosen = losses.checked(losses.named(loss), torch.zeros(2, num_classes), torch.tensor([0, 1]))
            train_loss, eval_loss = losses.weighted(chosen, weights, "weight"), chosen
        elif weights is not None:
            train_loss = nn.CrossEntropyLoss(weights, label_smoothing=label_smoothing)
        super().__init__(model, optimizer, scheduler, input_shape, num_classes, train_loss, eval_loss, metrics)
        self.confusion = MulticlassConfusionMatrix(num_classes)
        self.test_confusion: Tensor | None = None

    def score_sum(self, outputs: Tensor, targets: Tensor) -> Tensor:
        labels = targets if targets.dim() == 1 else targets.argmax(dim=1)
        return (outputs.argmax(dim=1) == labels).sum()

    def compared(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return outputs.float().softmax(dim=1), targets

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        logits = self._evaluate(batch, self.test_totals, self.test_metrics)
        self.confusion.update(logits.argmax(dim=1), batch[1])

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        self.test_confusion = self.confusion.compute().cpu()
        self.confusion.reset()
