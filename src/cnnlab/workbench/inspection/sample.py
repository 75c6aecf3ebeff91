"""One sample of a data set as a picture, in the way a person would look at its kind of data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from cnnlab.workbench.canvas import BLUE, CYCLE, PALE, figure, project_style
from cnnlab.workbench.inspection.sound import draw_spectrogram, draw_waveform

Sample = NDArray[np.floating[Any]]

_THUMBNAIL_DPI = 110


@dataclass(frozen=True)
class Appearance:
    """How the samples of a data set are shown.

    Attributes:
        kind: see DataModule.kind; None: what the number of dims suggests.
        is_ink: draw large values of images dark, as pen strokes on paper.
        audio: of recordings the settings that made the samples of them, see AudioFeatures.description.
        vocabulary: of texts the words in the order of their numbers.
    """

    kind: str | None = None
    is_ink: bool = False
    audio: Mapping[str, Any] | None = None
    vocabulary: Sequence[str] | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Appearance":
        """Of the data set with this description, see DataModule.description."""
        return cls(data.get("kind"), data["preprocessing"] == "digits", data.get("audio"), data.get("vocabulary"))


PLAIN = Appearance()


def show(axes: Axes, sample: Sample, appearance: Appearance = PLAIN) -> None:
    """Draw a sample into axes of its own: signals as lines, volumes by three slices, images as they are.

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


def thumbnail(
    sample: Sample, appearance: Appearance, side: int, dots_per_inch: int = _THUMBNAIL_DPI
) -> NDArray[np.uint8]:
    """A sample as `show` draws it, in colour: (3, side, side)."""
    with project_style():
        drawn = figure(side / dots_per_inch, side / dots_per_inch)
        drawn.set_dpi(dots_per_inch)
        drawn.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01)
        show(drawn.subplots(), sample, appearance)
        canvas = FigureCanvasAgg(drawn)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def three_views(volume: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The middle slices of (D, H, W) as a draughtsman looks at a thing: from the front, from the side, from above.

    Returns:
        Slices (H, W), (H, D) and (D, W), which share their edges if the second stands right of and the third below
        the first.
    """
    depth, height, width = (size // 2 for size in volume.shape)
    return volume[depth], volume[:, :, width].T, volume[:, height]


def _show_series(axes: Axes, sample: Sample, appearance: Appearance) -> None:
    axes.axhline(0, color=PALE, linewidth=0.5)
    for channel, colour in zip(sample, CYCLE if len(sample) > 1 else [BLUE], strict=False):
        axes.plot(channel, color=colour, linewidth=0.7)
    last = sample.shape[1] - 1
    low, high = float(sample.min()), float(sample.max())
    axes.set(xticks=[0, last], yticks=[low, high] if high > low else [low])
    axes.set_xticklabels(["0", f"{last:,}"])
    axes.set_yticklabels([f"{value:.2g}" for value in axes.get_yticks()])
    axes.tick_params(labelsize=5.5, length=1.5, width=0.4, pad=1)


def _show_volume(axes: Axes, sample: Sample, appearance: Appearance) -> None:
    """Three slices and, in the corner that they leave free, the volume's size; a line parts them."""
    front, side, above = three_views(sample[0])
    depth, height, width = sample[0].shape
    gap = max(1, round(0.04 * (width + depth)))
    page = np.full((height + gap + depth, width + gap + depth), np.nan, sample.dtype)
    page[:height, :width] = front
    page[:height, width + gap :] = side
    page[height + gap :, :width] = above
    _show_image(axes, page[None], appearance)
    middle: Any = {"ha": "center", "va": "center", "fontsize": 5.5, "color": "#444444", "linespacing": 1.3}
    text = f"front | side\nabove\n{depth}x{height}x{width}"
    axes.text(width + gap + (depth - 1) / 2, height + gap + (depth - 1) / 2, text, **middle)


def _show_image(axes: Axes, sample: Sample, appearance: Appearance) -> None:
    least, most = float(np.nanmin(sample)), float(np.nanmax(sample))
    low, high = min(0.0, least), max(1.0, most)
    if low < -0.01 or high > 1.01:  # no image: rounding aside, those lie in [0, 1]
        low, high = least, most
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
