"""A trained network that takes pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cnnlab.data.files.imaging import read_image
from cnnlab.data.loading.normalisation import Normalise
from cnnlab.data.shuffled_axis import ShuffledAxis
from cnnlab.errors import UserError
from cnnlab.runs.commands import short_path
from cnnlab.saved_run import SavedModel
from cnnlab.speed import hardware
from cnnlab.workbench.inspection import through_the_net
from cnnlab.workbench.inspection.activations import activations
from cnnlab.workbench.prediction import contact_sheet
from cnnlab.workbench.prediction.digits.digit import normalise_digit

Pixels = NDArray[np.uint8]


class Prepared(NamedTuple):
    """A picture, and the pixels of it that the network is shown.

    Attributes:
        picture: small and in colour, (3, H, W).
        pixels: (C, H, W) of the size the network was trained on.
    """

    picture: Pixels
    pixels: Pixels


@dataclass(frozen=True)
class Answer:
    """The network's answer to a picture.

    Attributes:
        label: name of the most probable class.
        probability: of that class.
        runner_up, runner_up_probability: the second.
        probabilities: (num_classes,), in the order of the class names.
        seen: what the network was shown, (C, H, W).
    """

    label: str
    probability: float
    runner_up: str
    runner_up_probability: float
    probabilities: NDArray[np.float64]
    seen: Pixels


@dataclass(frozen=True)
class Estimate:
    """The values that a network estimates for a picture.

    Attributes:
        values: (num_values,), in the order of their names.
        seen: what the network was shown, (C, H, W).
    """

    values: NDArray[np.float64]
    seen: Pixels


class Predictor:
    """A trained network that takes pictures: whatever its data were made of, pictures are made into the same.

    One that learnt classes gives `answers`, one that learnt values `estimates`.

    Args:
        saved: the network and the description of its data.
        accelerator: auto, cpu, gpu, cuda or mps.

    Attributes:
        learns_classes: or else values.
        class_names: in the order of the probabilities; the values' names.
        takes_digits: pictures are of one handwritten digit or letter each, see digits.normalise_digit; otherwise they
            are only resized.

    Raises:
        UserError: if it was trained on other than pictures.
    """

    def __init__(self, saved: SavedModel, accelerator: str = "auto") -> None:
        data = saved.data
        shape = tuple(data["input_shape"])
        if len(shape) != 3 or shape[0] not in (1, 3) or data["scale"] != 1 / 255:
            raise UserError(
                f"{short_path(saved.folder)} was trained on {data['dataset']}, samples of {'x'.join(map(str, shape))} "
                "that are no pictures; expected a run on grey or RGB images"
            )
        self.device = torch.device(hardware.resolve_accelerator(accelerator, "accelerator"))
        self.learns_classes = saved.learns_classes
        self.class_names = tuple(data["class_names"])
        self.takes_digits = data["preprocessing"] == "digits"
        self.model = saved.model.to(self.device)
        self._num_channels, self._size = shape[0], (shape[1], shape[2])
        self._full_scale = data.get("full_scale")  # of a run on images in folders
        axis = data.get("shuffle_axis", "none")
        self._arrange = None if axis == "none" else ShuffledAxis(axis, data["kind"], shape, data["seed"])
        self._normalise = Normalise(data["mean"], data["std"], data["scale"], 2, self.device)

    def see(self, source: Path | bytes, name: str) -> Prepared:
        """Read a picture and make of it what the network is shown.

        Raises:
            UserError: if it cannot be read, or there is no digit in it.
        """
        picture = read_image(source, 3, name=name, full_scale=self._full_scale)
        if self.takes_digits:
            return Prepared(_thumbnail(picture), self._normalised_digit(picture, name))
        pixels = read_image(source, self._num_channels, self._size, name, self._full_scale)
        return Prepared(_thumbnail(picture), pixels)

    def answer(self, picture: Pixels) -> Answer:
        """Say what a single picture (C, H, W) with one or three channels shows.

        Raises:
            UserError: if there is no digit in it.
        """
        if self.takes_digits:
            pixels = self._normalised_digit(picture, "the picture")
        else:
            image = _image(picture).convert("L" if self._num_channels == 1 else "RGB")
            pixels = _pixels(image.resize(self._size[::-1], Image.Resampling.BILINEAR))
        return self.answers([pixels])[0]

    def answers(self, shown: Sequence[Pixels]) -> list[Answer]:
        """One answer for each of some pictures as `see` prepares them."""
        probabilities = self._outputs(shown).softmax(dim=1).cpu().numpy()
        return [self._answer(row, pixels) for row, pixels in zip(probabilities, shown, strict=True)]

    def estimates(self, shown: Sequence[Pixels]) -> list[Estimate]:
        """The values for each of some pictures as `see` prepares them."""
        values = self._outputs(shown).cpu().numpy()
        return [Estimate(row, pixels) for row, pixels in zip(values, shown, strict=True)]

    def explanation(self, answer: Answer, name: str) -> bytes:
        """The figure of an answered picture's way through the network, as PNG."""
        (sample,) = self._inputs([answer.seen])
        title = f"{name}: {answer.label} ({answer.probability:.1%})"
        seen = activations(self.model, sample)
        return through_the_net.draw(sample.cpu().numpy(), seen, answer.probabilities, self.class_names, title)

    def _outputs(self, shown: Sequence[Pixels]) -> Tensor:
        with torch.no_grad():
            outputs: Tensor = self.model(self._inputs(shown)).double()
        return outputs

    def _inputs(self, shown: Sequence[Pixels]) -> Tensor:
        pixels = torch.from_numpy(np.stack(shown)).to(self.device)
        return self._normalise(pixels if self._arrange is None else self._arrange(pixels))

    def _normalised_digit(self, picture: Pixels, name: str) -> Pixels:
        try:
            return normalise_digit(np.asarray(_image(picture).convert("L")))[None]
        except UserError as error:
            raise UserError(f"{name}: {error}") from error

    def _answer(self, probabilities: NDArray[np.float64], pixels: Pixels) -> Answer:
        best, second = np.argsort(-probabilities, kind="stable")[:2]
        first, other = ((self.class_names[i], float(probabilities[i])) for i in (best, second))
        return Answer(*first, *other, probabilities, pixels)


def _thumbnail(picture: Pixels) -> Pixels:
    image = _image(picture)
    image.thumbnail((contact_sheet.PICTURE_SIDE, contact_sheet.PICTURE_SIDE))
    return _pixels(image)


def _image(picture: Pixels) -> Image.Image:
    return Image.fromarray(picture[0] if len(picture) == 1 else np.ascontiguousarray(picture.transpose(1, 2, 0)))


def _pixels(image: Image.Image) -> Pixels:
    pixels = np.array(image)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
