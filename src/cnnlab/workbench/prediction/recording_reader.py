"""Reads recordings for a network that was trained on them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cnnlab.data.audio_features import AudioFeatures
from cnnlab.data.files.wav import Wave, is_wav, read_wav
from cnnlab.workbench.prediction.contact_sheet import PICTURE_SIDE
from cnnlab.workbench.prediction.reader import Prepared, Reader

_HEIGHT = 64  # pixels of a drawn waveform


class RecordingReader(Reader):
    """Makes of recordings what the data set made of its own: resampled, of its length, perhaps as a spectrogram.

    Args:
        data: the description of the network's data, see AudioDataModule.description.
    """

    what = "recordings"
    formats = "WAV"
    request = "inputs= is missing: name a recording, a folder of them, a glob or a zip archive"

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._audio = AudioFeatures.of(data)

    def accepts(self, name: str) -> bool:
        return is_wav(name)

    def read(self, source: Path | bytes, name: str) -> Prepared:
        whole = read_wav(source, self._audio.sample_rate, name)
        wave = self._audio.cut_or_padded(whole)
        sample = self._audio.extract(torch.from_numpy(wave)[None])[0].numpy()
        is_waveform = sample.ndim == 2
        return Prepared(_drawn_wave(whole), sample, seen=_drawn_wave(wave) if is_waveform else _drawn_bands(sample))


def _drawn_wave(wave: Wave) -> NDArray[np.uint8]:
    """The lowest and highest value in each column of a small picture, (3, H, W); the loudest value fills it."""
    columns = np.array_split(wave, min(PICTURE_SIDE, len(wave)))
    largest = float(np.abs(wave).max()) or 1.0
    middle = (_HEIGHT - 1) / 2
    picture = np.full((_HEIGHT, len(columns)), 255, dtype=np.uint8)
    for x, values in enumerate(columns):
        top, bottom = (round(middle * (1 - value / largest)) for value in (float(values.max()), float(values.min())))
        picture[top : bottom + 1, x] = 0
    return np.repeat(picture[None], 3, axis=0)


def _drawn_bands(sample: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A spectrogram (1, bands, frames) with high bands above low ones and loud ones dark."""
    loudest = float(sample.max()) or 1.0
    pixels: NDArray[np.uint8] = (255 - 255 * np.clip(sample[:, ::-1] / loudest, 0, 1)).astype(np.uint8)
    return pixels
