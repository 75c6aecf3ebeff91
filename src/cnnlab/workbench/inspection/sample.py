"""One sample of a data set as a picture, in the way a person would look at its kind of data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cnnlab.workbench.canvas import BLUE, CYCLE
from cnnlab.workbench.inspection.sound import draw_spectrogram, draw_waveform

Sample = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Appearance:
    """How the samples of a data set are shown.

    Attributes:
        kind: see DataModule.kind; None: what the number of dims suggests.
        is_ink: draw large values of images dark, as pen strokes on paper.
        audio: of recordings the settings that made the samples of them, see Hearing.description.
    """

    kind: str | None = None
    is_ink: bool = False
    audio: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Appearance":
        """Of the data set with this description, see DataModule.description."""
        return cls(data.get("kind"), data["preprocessing"] == "digits", data.get("audio"))


PLAIN = Appearance()


def show(axes: Axes, sample: Sample, appearance: Appearance = PLAIN) -> None:
    """Draw a sample into axes of its own: signals as lines, volumes by their middle slice, images as they are.

    Recordings have an axis of seconds, and of frequencies if they are spectrograms.

    Args:
        sample: (C, *spatial); images in [0, 1], others are stretched to it. Of other than one or three channels the
            first is shown.
    """
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#bbbbbb")
    kind = appearance.kind or {2: "series", 3: "image", 4: "volume"}[sample.ndim]
    _SHOW.get(kind, _show_image)(axes, sample, appearance)


def _show_series(axes: Axes, sample: Sample, appearance: Appearance) -> None:
    for channel, colour in zip(sample, CYCLE if len(sample) > 1 else [BLUE], strict=False):
        axes.plot(channel, color=colour, linewidth=0.7)


def _show_volume(axes: Axes, sample: Sample, appearance: Appearance) -> None:
    _show_image(axes, sample[:, sample.shape[1] // 2], appearance)


def _show_image(axes: Axes, sample: Sample, appearance: Appearance) -> None:
    low, high = min(0.0, float(sample.min())), max(1.0, float(sample.max()))
    if low < -0.01 or high > 1.01:  # no image: rounding aside, those lie in [0, 1]
        low, high = float(sample.min()), float(sample.max())
    stretched = np.clip((sample - low) / ((high - low) or 1.0), 0, 1)
    if len(stretched) == 3:
        axes.imshow(stretched.transpose(1, 2, 0), aspect="equal")
    else:
        axes.imshow(stretched[0], cmap="gray_r" if appearance.is_ink else "gray", vmin=0, vmax=1, aspect="equal")


def _show_audio(axes: Axes, sample: Sample, appearance: Appearance) -> None:
    assert appearance.audio is not None
    draw_waveform(axes, sample[0], appearance.audio)


def _show_spectrogram(axes: Axes, sample: Sample, appearance: Appearance) -> None:
    assert appearance.audio is not None
    draw_spectrogram(axes, sample[0], appearance.audio)


_SHOW: dict[str, Callable[[Axes, Sample, Appearance], None]] = {
    "series": _show_series,
    "volume": _show_volume,
    "audio": _show_audio,
    "spectrogram": _show_spectrogram,
}
