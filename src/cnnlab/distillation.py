"""A classifier that also learns from the answers of trained networks: classifier=distillation."""

import hashlib
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from cnnlab.classifier import Classifier
from cnnlab.data import agreement
from cnnlab.data.datamodule import DataModule
from cnnlab.errors import UserError
from cnnlab.overrides import LATEST
from cnnlab.saved_run import SavedModel, load_model

log = logging.getLogger(__name__)

# Deviations of data on one scale, like pixels from 0 to 1, do not differ by as much.
_MOST_SPREAD = 10


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
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be a number above 0, got {temperature}")
        if not 0 < weight <= 1:
            raise ValueError(f"weight must be above 0 and at most 1, got {weight}")
        super().__init__(
            model, optimizer, scheduler, input_shape, num_classes, label_smoothing=label_smoothing, metrics=metrics
        )
        self.temperature, self.weight = temperature, weight
        runs = [teacher] if isinstance(teacher, str) else list(teacher)
        if not runs:
            raise ValueError("teacher must name at least one run")
        self._teachers = _Teachers(runs if for_training else [], datamodule)

    def on_fit_start(self) -> None:
        self._teachers.prepare(self.device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["teachers"] = self._teachers.digests

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let a run go on with the teachers that it has learnt from so far.

        Raises:
            UserError: if other weights lie where theirs were.
        """
        before = checkpoint.get("teachers", self._teachers.digests)
        for run, digest, now in zip(self._teachers.runs, before, self._teachers.digests, strict=False):
            if digest != now:
                raise UserError(
                    f"teacher: {run} has other weights than those that this run has learnt from so far; "
                    "classifier.teacher= says where they are now"
                )

    def training_loss(self, inputs: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
        expected = self._teachers.probabilities(inputs, self.temperature)
        logs = (outputs.float() / self.temperature).log_softmax(dim=1)
        distance = functional.kl_div(logs, expected, reduction="batchmean") * self.temperature**2
        return self.loss(outputs, targets) * (1 - self.weight) + distance * self.weight


class _Teachers:
    """The trained networks that answer to the samples of a training.

    This is no module, so that the classifier has neither their parameters nor, in its checkpoint, their weights. Copies
    of a classifier (callbacks=ema makes one) share them.

    Attributes:
        digests: of each network's weights.
    """

    def __init__(self, runs: Sequence[str], datamodule: DataModule) -> None:
        self.runs = runs
        self.networks = [_Teacher(_loaded(run, datamodule)) for run in runs]
        self.digests = [_digest(teacher.model) for teacher in self.networks]
        self._datamodule = datamodule

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Teachers":
        return self

    def prepare(self, device: torch.device) -> None:
        for teacher in self.networks:
            teacher.takes_samples_of(self._datamodule)  # not before: pretrained weights may have changed how
            teacher.to(device)

    @torch.no_grad()
    def probabilities(self, inputs: Tensor, temperature: float) -> Tensor:
        """Their mean probabilities, (N, num_classes), of logits that are divided by the temperature."""
        answers = [(teacher(inputs).float() / temperature).softmax(dim=1) for teacher in self.networks]
        return answers[0] if len(answers) == 1 else torch.stack(answers).mean(dim=0)


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
        UserError: if there is none, if its training has not ended, or if it has learnt other samples or other classes.
    """
    if run == LATEST:
        raise UserError("teacher must be the folder of a run, for the latest run is another one each time")
    try:
        saved = load_model(run)
    except UserError as error:
        raise UserError(f"teacher: {error}") from error
    if not (saved.folder / "metrics.json").is_file():
        raise UserError(f"teacher: {run} is not finished, its weights may still change; resume={run} goes on with it")
    if not saved.learns_classes:
        raise UserError(f"teacher: {run} has learnt {saved.targets_in_words}, no classes")
    ours = datamodule.description()
    if different := agreement.difference(saved.data, ours):
        raise UserError(f"teacher: {run} knows {agreement.in_words(different, saved.data, ours)}")
    for before, now in zip(saved.data["std"], datamodule.std, strict=True):
        if datamodule.vocabulary is None and not 1 / _MOST_SPREAD < now / before < _MOST_SPREAD:
            raise UserError(
                f"teacher: {run} knows values with a standard deviation of {before:.3g}, but those of this training "
                f"have {now:.3g}; bring them to the same scale"
            )
    if seen := agreement.learnt_from_evaluated(saved.data, ours):
        log.warning("WARNING: the teacher %s has learnt %s; the scores may be too good", run, seen)
    return saved


def _digest(network: nn.Module) -> str:
    total = hashlib.sha256()
    for name, value in network.state_dict().items():
        total.update(name.encode() + value.cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
