"""Draws recordings: waveforms over seconds, spectrograms with their frequencies."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cnnlab.workbench.canvas import BLUE

_KILOHERTZ = (0.25, 1, 3, 10)


def draw_waveform(axes: Axes, wave: NDArray[np.floating[Any]], audio: Mapping[str, Any]) -> None:
    """Draw a recording (T,), whose loudest value fills the axes.

    Args:
        audio: the settings that made it, see AudioFeatures.description.
    """
    axes.plot(np.arange(len(wave)) / audio["sample_rate"], wave, color=BLUE, linewidth=0.4)
    largest = 1.05 * float(np.abs(wave).max()) or 1.0
    axes.set_ylim(-largest, largest)
    axes.set_xlim(0, audio["seconds"])
    _mark_seconds(axes, audio)


def draw_spectrogram(axes: Axes, bands: NDArray[np.floating[Any]], audio: Mapping[str, Any]) -> None:
    """Draw a spectrogram (bands, frames), low frequencies at the bottom, loud ones dark."""
    extent = (0, audio["seconds"], -0.5, len(bands) - 0.5)
    axes.imshow(bands, cmap="gray_r", origin="lower", aspect="auto", extent=extent, interpolation="nearest")
    frequencies = audio["frequencies"]
    shown = [kilohertz for kilohertz in _KILOHERTZ if frequencies[0] <= 1000 * kilohertz <= frequencies[-1]]
    places = np.interp([1000 * kilohertz for kilohertz in shown], frequencies, np.arange(len(frequencies)))
    axes.set_yticks(places, [f"{kilohertz:g} kHz" for kilohertz in shown], fontsize=5.5)
    _mark_seconds(axes, audio)


def _mark_seconds(axes: Axes, audio: Mapping[str, Any]) -> None:
    axes.set_xticks([0, audio["seconds"]], ["0", f"{audio['seconds']:g} s"], fontsize=5.5)
    axes.tick_params(length=2, pad=1)
