"""A classifier that also learns from the answers of trained networks: classifier=distillation."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from cnnlab.classifier import Classifier
from cnnlab.data.datamodule import DataModule
from cnnlab.errors import UserError
from cnnlab.overrides import LATEST
from cnnlab.saved_run import SavedModel, load_model

_SAME = {"input_shape": "samples of shape", "class_names": "the classes", "vocabulary": "words:"}


class DistilledClassifier(Classifier):
    """Learns the labels and what one or several trained networks answer to the same samples, after augmentation.

    The loss is (1 - weight) * cross-entropy + weight * temperature^2 * KL(teachers || network), where the teachers' are
    the means of their probabilities at the temperature (Hinton, Vinyals & Dean, Distilling the knowledge in a neural
    network, 2015, section 2). The square keeps the share of the second term's gradient the same at every temperature.
    The teachers are neither trained nor saved with the run. The losses of val and test are cross-entropy alone.

    Args:
        model, optimizer, scheduler, label_smoothing, metrics: see Classifier.
        teacher: finished runs with the same classes and shape of samples: folders, or pretrained:<name>.
        datamodule: the data of this training, which say how its samples are normalised.
        temperature: by which all logits are divided; above 1 the small probabilities count more.
        weight: the share of the teachers' answers in the loss, above 0 and at most 1.
        for_training: False leaves out the teachers, which an evaluation does not need.

    Raises:
        ValueError: for a temperature or a weight out of range.
        UserError: for a teacher that is not there, or has learnt something else.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[..., LRScheduler],
        input_shape: Sequence[int],
        num_classes: int,
        teacher: str | Sequence[str],
        datamodule: DataModule,
        temperature: float = 4.0,
        weight: float = 0.9,
        label_smoothing: float = 0.0,
        metrics: Sequence[str | Metric] = (),
        for_training: bool = True,
    ) -> None:
        if temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        if not 0 < weight <= 1:
            raise ValueError(f"weight must be above 0 and at most 1, got {weight}")
        super().__init__(
            model, optimizer, scheduler, input_shape, num_classes, label_smoothing=label_smoothing, metrics=metrics
        )
        self.temperature, self.weight = temperature, weight
        runs = [teacher] if isinstance(teacher, str) else list(teacher)
        if not runs:
            raise ValueError("teacher must name at least one run")
        # In a list, so that they are no part of this module: neither its parameters nor its checkpoint have them.
        self._teachers = [_Teacher(_loaded(run, datamodule)) for run in runs] if for_training else []
        self._datamodule = datamodule

    def on_fit_start(self) -> None:
        for teacher in self._teachers:
            teacher.takes_samples_of(self._datamodule)  # not before: pretrained weights may have changed how
            teacher.to(self.device)

    def training_loss(self, inputs: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad():
            answers = [(teacher(inputs).float() / self.temperature).softmax(dim=1) for teacher in self._teachers]
        expected = answers[0] if len(answers) == 1 else torch.stack(answers).mean(dim=0)
        logs = (outputs.float() / self.temperature).log_softmax(dim=1)
        distance = functional.kl_div(logs, expected, reduction="batchmean") * self.temperature**2
        return self.loss(outputs, targets) * (1 - self.weight) + distance * self.weight


class _Teacher(nn.Module):
    """A trained network that takes samples as they are normalised for another one: (N, C, *spatial) to logits."""

    def __init__(self, saved: SavedModel) -> None:
        super().__init__()
        self.model = saved.model.requires_grad_(False)
        self.statistics = saved.data["mean"], saved.data["std"]
        self.factor: Tensor | None
        self.shift: Tensor | None
        self.register_buffer("factor", None)
        self.register_buffer("shift", None)

    def takes_samples_of(self, datamodule: DataModule) -> None:
        """Find out how samples that are normalised for a training have to be changed for this network."""
        if datamodule.vocabulary is not None:
            return  # numbers of words
        sizes = (-1, *[1] * (len(datamodule.input_shape) - 1))  # one number per channel
        mean, std = (torch.tensor(numbers).view(sizes) for numbers in self.statistics)
        own_mean, own_std = (torch.tensor(numbers).view(sizes) for numbers in (datamodule.mean, datamodule.std))
        self.factor, self.shift = own_std / std, (own_mean - mean) / std

    def forward(self, inputs: Tensor) -> Tensor:
        if self.factor is not None and self.shift is not None:
            inputs = (inputs * self.factor + self.shift).to(self.factor.dtype)  # the samples of 64-true are double
        logits: Tensor = self.model(inputs)
        return logits


def _loaded(run: str, datamodule: DataModule) -> SavedModel:
    """The trained network of a run.

    Raises:
        UserError: if there is none, or if it has learnt from other samples or other classes.
    """
    if run == LATEST:
        raise UserError("teacher must be the folder of a run, for the latest run is another one each time")
    saved = load_model(run)
    if not saved.learns_classes:
        raise UserError(f"teacher: {run} has learnt {saved.targets_in_words}, no classes")
    ours: dict[str, Any] = {"input_shape": datamodule.input_shape, "class_names": datamodule.class_names}
    ours["vocabulary"] = datamodule.vocabulary or ()
    for key, what in _SAME.items():
        theirs, own = list(saved.data.get(key) or ()), list(ours[key])
        if theirs != own:
            shown = "other ones" if key == "vocabulary" else f"{theirs}, but this training has {own}"
            raise UserError(f"teacher: {run} knows {what} {shown}")
    return saved
