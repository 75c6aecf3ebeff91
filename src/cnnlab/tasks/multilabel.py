"""The LightningModule for samples that have any number of labels at once."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from cnnlab.tasks import losses
from cnnlab.tasks.task import Task


class MultiLabelClassifier(Task):
    """Says of each label whether a sample has it, trained by binary cross-entropy unless another loss is given.

    A logit above 0, which is a probability above 0.5, is a yes. The accuracy is the share of right answers among all
    answers to all labels. The losses of val and test are without class weights.

    Args:
        model: maps (N, *input_shape) to logits (N, num_labels).
        optimizer, scheduler: see Task.
        class_weights: by which the loss of a label is multiplied where a sample has it: one number for each label;
            or balanced, which is (n - n_c) / n_c for a label that n_c of the n training samples have.
        class_counts: the number of training samples that have each label, for balanced.
        num_samples: the number of training samples, for balanced.
        loss: a loss of torch.nn by its name, or an object; None: binary cross-entropy of logits.
        metrics: further ones of val and test, by their names: f1, auroc, …

    Raises:
        ValueError: for settings that do not fit together.
    """

    targets = "multilabel"
    score = "accuracy"

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., LRScheduler],
        input_shape: Sequence[int],
        num_classes: int,
        class_weights: Sequence[float] | Literal["balanced"] | None = None,
        class_counts: Sequence[int] | None = None,
        num_samples: int | None = None,
        loss: str | nn.Module | None = None,
        metrics: Sequence[str | Metric] = (),
    ) -> None:
        weights = losses.label_weights(class_weights, class_counts, num_samples, num_classes)
        chosen = nn.BCEWithLogitsLoss() if loss is None else losses.named(loss)
        eval_loss = losses.checked(chosen, torch.zeros(2, num_classes), torch.zeros(2, num_classes))
        train_loss = losses.weighted(eval_loss, weights, "pos_weight")
        super().__init__(model, optimizer, scheduler, input_shape, num_classes, train_loss, eval_loss, metrics)

    def score_sum(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return ((outputs > 0) == (targets > 0.5)).float().mean(dim=1).sum()

    def compared(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return outputs.float().sigmoid(), targets.int()
