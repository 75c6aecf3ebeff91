"""Figures of an evaluation, each as a file's name and content."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from cnnlab.callbacks.outputs import TopSamples
from cnnlab.data.datamodule import DataModule
from cnnlab.data.loading.normalisation import Normalise
from cnnlab.errors import UserError
from cnnlab.saved_run import SavedModel
from cnnlab.workbench.evaluation import (
    curves_figure,
    gallery,
    reliability_figure,
    robustness_figure as drawn_robustness,
)
from cnnlab.workbench.evaluation.corruptions import CORRUPTIONS, severities
from cnnlab.workbench.evaluation.gallery import Answered
from cnnlab.workbench.evaluation.ranking import Curves
from cnnlab.workbench.evaluation.scores import NUM_BINS, Scores
from cnnlab.workbench.inspection import filters_figure as drawn_filters, through_the_net as drawn_way, words_figure
from cnnlab.workbench.inspection.activations import activations, weights
from cnnlab.workbench.inspection.sample import Appearance
from cnnlab.workbench.inspection.words_figure import WeighedText
from cnnlab.workbench.notation import csv_bytes, shortened
from cnnlab.workbench.run_reports.run_report import shown_name

_NUM_SPOILT = 2_000  # images behind each point of the robustness figure
_SAMPLES_PER_BATCH = 500
_NUMBER = "#7: sample 7 of the split, counted from 0."

Files = dict[str, bytes]


@dataclass(frozen=True)
class Subject:
    """The run, data and scores that the figures show.

    Attributes:
        split: train, val or test.
        seed: of the samples drawn at random, and of their corruption.
        index: which sample goes through the network; None: the one with the largest loss.
    """

    saved: SavedModel
    datamodule: DataModule
    scores: Scores
    split: str
    seed: int
    index: int | None

    @property
    def name(self) -> str:
        return f"{shown_name(self.saved.folder)}, {self.split}"

    @property
    def appearance(self) -> Appearance:
        return Appearance.of(self.datamodule.description())

    def samples(self, indices: Sequence[int]) -> Tensor:
        """Samples of the split as the network is fed with them, (K, C, *spatial), in the order of the split."""
        # While the training split is evaluated, it stands in for the validation split, see evaluate.
        loader = self.datamodule.test_dataloader() if self.split == "test" else self.datamodule.val_dataloader()
        wanted, found, first = torch.tensor(sorted(indices)), [], 0
        for inputs, _ in loader:
            here = wanted[(wanted >= first) & (wanted < first + len(inputs))] - first
            found.append(inputs.cpu()[here])
            first += len(inputs)
            if first > wanted[-1]:
                break
        return torch.cat(found)

    def as_stored(self, inputs: Tensor) -> Tensor:
        """Undo the normalisation; images then lie in [0, 1]."""
        shape = (1, -1) + (1,) * (inputs.dim() - 2)
        mean, std = (torch.tensor(values).reshape(shape) for values in (self.datamodule.mean, self.datamodule.std))
        return inputs.cpu() * std + mean


def galleries(subject: Subject) -> Files:
    """The samples with the largest loss, and some drawn at random."""
    scores, outputs = subject.scores, subject.scores.outputs
    total, wrong = len(scores.labels), int((scores.predicted != scores.labels).sum())
    worst, random = outputs.most_wrong, outputs.random
    about_worst = (
        f"The {len(worst.indices)} largest losses of {total:,}; {wrong:,} taken for another class.\n"
        f"First the true class, then → what it was taken for. {_NUMBER}"
    )
    about_random = f"{len(random.indices)} of {total:,}, seed {subject.seed}; green ✓: right; orange ✗: wrong.\n"
    about_random += f"First the true class, then → what it was taken for. {_NUMBER}"

    def draw(samples: TopSamples, title: str, explanation: str) -> bytes:
        if subject.datamodule.vocabulary is not None:
            texts = _weighed(subject, samples, subject.datamodule.vocabulary)
            return words_figure.draw(texts, f"{subject.name}: {title}", explanation)
        indices, stored = samples.indices.tolist(), subject.as_stored(samples.inputs)
        return gallery.draw(
            answered(subject, indices, stored), f"{subject.name}: {title}", explanation, subject.appearance
        )

    return {
        "most_wrong.png": draw(worst, "most wrong", about_worst),
        "random_predictions.png": draw(random, "chosen at random", about_random),
    }


def calibration(subject: Subject) -> Files:
    """The reliability diagram."""
    scores = subject.scores
    sure, right = scores.probabilities.amax(dim=1).double().numpy(), (scores.predicted == scores.labels).numpy()
    title = f"{subject.name}\nis it as often right as it is sure?"
    return {"reliability.png": reliability_figure.draw(sure, right, NUM_BINS, scores.calibration_error, title)}


def class_curves(subject: Subject, of_classes: list[Curves]) -> Files:
    """ROC and precision-recall curves; nothing if the split holds a single class."""
    if not of_classes:
        return {}
    title = f"{subject.name}: each class against all others"
    return {"curves.png": curves_figure.draw(of_classes, title)}


def filters(subject: Subject) -> Files:
    """The kernels of the convolutions; nothing for a network that has none and no fully connected first layer."""
    layers = weights(subject.saved.model, subject.datamodule.input_shape)
    if not layers:
        return {}
    return {"filters.png": drawn_filters.draw(layers, f"{shown_name(subject.saved.folder)}: learnt kernels")}


def through_the_net(subject: Subject) -> Files:
    """One sample laid out through the network."""
    scores, index = subject.scores, subject.index
    if index is None:
        index = int(subject.scores.outputs.most_wrong.indices[0])
    if not 0 <= index < len(scores.labels):
        raise UserError(f"index must be from 0 to {len(scores.labels) - 1}, the samples of the split, got {index}")
    (sample,) = subject.samples([index])
    predicted = int(scores.predicted[index])
    title = (
        f"{subject.name} #{index}: true {scores.class_names[int(scores.labels[index])]}, "
        f"predicted {scores.class_names[predicted]} ({scores.probabilities[index, predicted]:.1%})"
    )
    seen, probabilities = activations(subject.saved.model.cpu(), sample), scores.probabilities[index].numpy()
    way = drawn_way.draw(sample.numpy(), seen, probabilities, scores.class_names, title, appearance=subject.appearance)
    return {"through_the_net.png": way}


def robustness(subject: Subject) -> Files:
    """Accuracy under corruptions of rising severity, for images; nothing for other data."""
    data, scores = subject.datamodule, subject.scores
    if len(data.input_shape) != 3 or data.scale != 1 / 255:
        return {}
    lots = np.random.default_rng(subject.seed).permutation(len(scores.labels))
    chosen = np.sort(lots[:_NUM_SPOILT])
    images = subject.as_stored(subject.samples(chosen.tolist())).clamp(0, 1)
    labels = scores.labels[torch.from_numpy(chosen)]
    example = int(images.flatten(1).std(dim=1).median(dim=0).indices)  # neither empty nor a blot
    unspoilt = float((scores.predicted[torch.from_numpy(chosen)] == labels).float().mean())
    accuracies = {name: [unspoilt] for name in CORRUPTIONS}
    examples = {name: [images[example].numpy()] for name in CORRUPTIONS}
    for name in tqdm(CORRUPTIONS, desc="robustness", leave=False, disable=not sys.stderr.isatty()):
        for spoilt in severities(images, name, subject.seed):
            accuracies[name].append(_accuracy(subject, spoilt, labels))
            examples[name].append(spoilt[example].numpy().copy())  # a view would keep all of them
    strengths = {name: corruption.in_words for name, corruption in CORRUPTIONS.items()}
    which = "all of them" if len(labels) == len(scores.labels) else f"{len(labels):,} at random, seed {subject.seed}"
    title = f"{subject.name}: accuracy on worse images ({which})"
    rows: list[list[Any]] = [["corruption", "severity", "strength", "unit", "accuracy"]]
    for name, values in accuracies.items():
        corruption = CORRUPTIONS[name]
        for severity, (strength, value) in enumerate(zip([0, *corruption.strengths], values, strict=True)):
            rows.append([name, severity, f"{strength:g}", corruption.unit, f"{value:.6f}"])
    return {
        "robustness.png": drawn_robustness.draw(accuracies, examples, strengths, title, subject.appearance),
        "robustness.csv": csv_bytes(rows),
    }


def answered(
    subject: Subject, indices: Sequence[int], stored: Tensor, names: Sequence[str] | None = None
) -> list[Answered]:
    """Samples and the answers to them, for a gallery.

    Args:
        indices: of the samples in the split.
        stored: the samples, (K, C, *spatial).
        names: what to call them; None: by their numbers.
    """
    scores, found = subject.scores, []
    for place, (index, sample) in enumerate(zip(indices, stored, strict=True)):
        true, best = int(scores.labels[index]), int(scores.predicted[index])
        lines = [names[place] if names else f"#{index}", _share(scores, index, true)]
        lines += [] if best == true else [f"→ {_share(scores, index, best)}"]
        found.append(Answered(sample.numpy(), "\n".join(lines), best == true))
    return found


def _weighed(subject: Subject, kept: TopSamples, vocabulary: Sequence[str]) -> list[WeighedText]:
    scores, weighed, model = subject.scores, [], subject.saved.model.cpu()
    for index, sample in zip(kept.indices.tolist(), kept.inputs.cpu(), strict=True):
        true, best = int(scores.labels[index]), int(scores.predicted[index])
        caption = f"#{index}, predicted {_share(scores, index, best)}"
        caption += "" if best == true else f", true {_share(scores, index, true)}"
        weighed.append(WeighedText.of(model, sample, best, vocabulary, caption, best == true))
    return weighed


def _share(scores: Scores, index: int, label: int) -> str:
    return f"{shortened(scores.class_names[label], 12)}: {scores.probabilities[index, label]:.1%}"


def _accuracy(subject: Subject, images: Tensor, labels: Tensor) -> float:
    data = subject.datamodule
    normalise = Normalise(data.mean, data.std, 1.0, 2, torch.device("cpu"))
    model = subject.saved.model.cpu()
    with torch.no_grad():
        predicted = [model(normalise(batch)).argmax(dim=1) for batch in torch.split(images, _SAMPLES_PER_BATCH)]
    return float((torch.cat(predicted) == labels).float().mean())
