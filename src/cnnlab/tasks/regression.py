"""The LightningModule for numbers that are to be estimated."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from cnnlab.tasks import losses
from cnnlab.tasks.task import Task


class Regression(Task):
    """Estimates one or several values of a sample, trained by the mean squared error unless another loss is given.

    It logs the mean absolute error, <split>/mae, in the unit of the values.

    Args:
        model: maps (N, *input_shape) to values (N, num_values).
        optimizer, scheduler: see Task.
        num_classes: the number of values.
        loss: a loss of torch.nn by its name, or an object; None: the mean squared error.
        metrics: further ones of val and test, by their names: mse, r2, …

    Raises:
        ValueError: for settings that do not fit together.
    """

    targets = "values"
    score = "mae"

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., LRScheduler],
        input_shape: Sequence[int],
        num_classes: int,
        loss: str | nn.Module | None = None,
        metrics: Sequence[str | Metric] = (),
    ) -> None:
        chosen = nn.MSELoss() if loss is None else losses.named(loss)
        checked = losses.checked(chosen, torch.zeros(2, num_classes), torch.zeros(2, num_classes))
        super().__init__(model, optimizer, scheduler, input_shape, num_classes, checked, checked, metrics)

    def score_sum(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).abs().mean(dim=1).sum()

    def compared(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return outputs.float(), targets
