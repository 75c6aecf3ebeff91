"""A trained network that answers what is in a file."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnlab.data.loading.normalisation import Normalise
from cnnlab.data.shuffled_axis import ShuffledAxis
from cnnlab.errors import UserError
from cnnlab.runs.commands import short_path
from cnnlab.saved_run import SavedModel
from cnnlab.speed import hardware
from cnnlab.workbench.inspection import through_the_net, words_figure
from cnnlab.workbench.inspection.activations import Activation, activations
from cnnlab.workbench.inspection.sample import Appearance
from cnnlab.workbench.inspection.words_figure import WeighedText
from cnnlab.workbench.notation import shortened
from cnnlab.workbench.prediction.array_reader import ArrayReader
from cnnlab.workbench.prediction.digits.box import Box
from cnnlab.workbench.prediction.picture_reader import PictureReader
from cnnlab.workbench.prediction.reader import Reader
from cnnlab.workbench.prediction.recording_reader import RecordingReader  # only: zoo
from cnnlab.workbench.prediction.text_reader import TextReader

Pixels = NDArray[np.uint8]

# Of the kinds of data other than images.
_READERS: dict[str, Callable[[Mapping[str, Any]], Reader]] = {
    "series": ArrayReader,
    "volume": ArrayReader,
    "text": TextReader,
    # only: zoo
    "audio": RecordingReader,
    "spectrogram": RecordingReader,
    # end only
}


@dataclass(frozen=True)
class Answer:
    """The network's answer to a sample.

    Attributes:
        label: name of the most probable class.
        probability: of that class.
        runner_up, runner_up_probability: the second.
        probabilities: (num_classes,), in the order of the class names.
        seen: the sample that the network was shown, (C, *spatial).
    """

    label: str
    probability: float
    runner_up: str
    runner_up_probability: float
    probabilities: NDArray[np.float64]
    seen: NDArray[Any]


@dataclass(frozen=True)
class LabelSet:
    """The labels that a network gives a sample, each with a probability above 0.5.

    Attributes:
        labels: their names, none or several, in the order of all names.
        probabilities: (num_labels,) of all labels.
        seen: the sample that the network was shown, (C, *spatial).
    """

    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]
    seen: NDArray[Any]


@dataclass(frozen=True)
class Estimate:
    """The values that a network estimates for a sample.

    Attributes:
        values: (num_values,), in the order of their names.
        seen: the sample that the network was shown, (C, *spatial).
    """

    values: NDArray[np.float64]
    seen: NDArray[Any]


class Predictor:
    """A trained network that takes files: of each a sample is made that is like those of its data.

    One that learnt classes gives `answers`, one that learnt several labels at once `label_sets`, one that learnt values
    `estimates`.

    Args:
        saved: the network and the description of its data.
        accelerator: auto, cpu, gpu, cuda or mps.

    Attributes:
        name: of the run.
        targets: what the network has learnt: classes, multilabel or values.
        class_names: in the order of the probabilities; the values' names.
        reader: reads files of the kind that the network was trained on.

    Raises:
        UserError: if it was trained on data that no file is read into.
    """

    def __init__(self, saved: SavedModel, accelerator: str = "auto") -> None:
        data, shape = saved.data, tuple(saved.data["input_shape"])
        try:
            self.reader = reader_for(data)
        except UserError as error:
            raise UserError(f"{short_path(saved.folder)} was trained on {data['dataset']}, {error}") from error
        self.device = torch.device(hardware.resolve_accelerator(accelerator, "accelerator"))
        self.name = saved.folder.name
        self.targets = saved.targets
        self.class_names = tuple(data["class_names"])
        self.model = saved.model.to(self.device)
        self._vocabulary = data.get("vocabulary")
        self._arrange = ShuffledAxis.of(data)
        self._appearance = Appearance.of(data)
        self._normalise = Normalise(data["mean"], data["std"], data["scale"], len(shape) - 1, self.device)

    def answer(self, picture: Pixels) -> Answer:
        """Say what a single picture (C, H, W) with one or three channels shows.

        Raises:
            UserError: if the network takes no pictures, or there is no digit in it.
        """
        if not isinstance(self.reader, PictureReader):
            raise UserError(f"expected a network that takes pictures, got one that takes {self.reader.what}")
        return self.answers([self.reader.from_pixels(picture)])[0]

    def digits_in(self, picture: Pixels) -> tuple[list[Answer], list[Box], int]:
        """Say which digits stand beside each other in a picture (C, H, W), from left to right.

        Returns:
            An answer and a place in the picture for each, and how many more there are that were not read.

        Raises:
            UserError: if the network takes no pictures of digits, or there is no digit in it.
        """
        if not (isinstance(self.reader, PictureReader) and self.reader.takes_digits):
            raise UserError("expected a network that takes pictures of digits")
        digits, num_unread = self.reader.digits_in(picture)
        answers = self.answers([digit.pixels[None] for digit in digits])
        return answers, [digit.box for digit in digits], num_unread

    def way(self, answer: Answer) -> list[Activation]:
        """The output of every layer for an answered sample."""
        return activations(self.model, self._inputs([answer.seen])[0])

    def answers(self, shown: Sequence[NDArray[Any]]) -> list[Answer]:
        """One answer for each of some samples as the reader prepares them."""
        probabilities = self._outputs(shown).softmax(dim=1).cpu().numpy()
        return [self._answer(row, sample) for row, sample in zip(probabilities, shown, strict=True)]

    def label_sets(self, shown: Sequence[NDArray[Any]]) -> list[LabelSet]:
        """The labels of each of some samples as the reader prepares them."""
        rows = self._outputs(shown).sigmoid().cpu().numpy()
        return [
            LabelSet(tuple(itertools.compress(self.class_names, row > 0.5)), row, sample)
            for row, sample in zip(rows, shown, strict=True)
        ]

    def estimates(self, shown: Sequence[NDArray[Any]]) -> list[Estimate]:
        """The values for each of some samples as the reader prepares them."""
        values = self._outputs(shown).cpu().numpy()
        return [Estimate(row, sample) for row, sample in zip(values, shown, strict=True)]

    def explanation(self, answer: Answer, name: str) -> bytes:
        """The figure of an answered sample's way through the network, or of the weights of a text's words, as PNG."""
        (sample,) = self._inputs([answer.seen])
        if self._vocabulary is not None:
            caption = f"{answer.label} ({answer.probability:.1%})"
            best = self.class_names.index(answer.label)
            text = WeighedText.of(self.model, sample, best, self._vocabulary, caption, None)
            return words_figure.draw([text], shortened(name, 100), "")
        title = f"{name}: {answer.label} ({answer.probability:.1%})"
        seen = self.way(answer)
        return through_the_net.draw(
            sample.cpu().numpy(), seen, answer.probabilities, self.class_names, title, appearance=self._appearance
        )

    def _outputs(self, shown: Sequence[NDArray[Any]]) -> Tensor:
        with torch.no_grad():
            outputs: Tensor = self.model(self._inputs(shown)).double()
        return outputs

    def _inputs(self, shown: Sequence[NDArray[Any]]) -> Tensor:
        samples = torch.from_numpy(np.stack(shown)).to(self.device)
        return self._normalise(samples if self._arrange is None else self._arrange(samples))

    def _answer(self, probabilities: NDArray[np.float64], sample: NDArray[Any]) -> Answer:
        best, second = np.argsort(-probabilities, kind="stable")[:2]
        first, other = ((self.class_names[i], float(probabilities[i])) for i in (best, second))
        return Answer(*first, *other, probabilities, sample)


def reader_for(data: Mapping[str, Any]) -> Reader:
    """The reader of files like those of a data set.

    Args:
        data: its description, see DataModule.description.

    Raises:
        UserError: if there is none, as the end of a sentence on the data set.
    """
    return _READERS.get(data.get("kind", ""), PictureReader)(data)
