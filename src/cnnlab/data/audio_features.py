"""What a network gets of a recording: a waveform or a log-mel spectrogram of a fixed length."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnlab.data.files.wav import Wave, read_wav
from cnnlab.data.log_mel import log_mel, mel_bands, mel_frequencies
from cnnlab.errors import UserError

Features = Literal["waveform", "log_mel"]
_WAVES_PER_BATCH = 256


@dataclass(frozen=True)
class AudioFeatures:
    """Makes samples (C, *spatial) of recordings: (1, T), or (1, num_mels, frames) with the lowest band first.

    Args:
        features: waveform, or log_mel; see log_mel.py.
        sample_rate: to which recordings are resampled, in Hz.
        seconds: the length. A shorter recording has silence on both sides, a longer one loses as much on both.
        num_mels: bands of a spectrogram.
        window_ms, hop_ms: length and distance of its windows, in milliseconds.

    Raises:
        UserError: for settings that give nothing to hear.
    """

    features: Features = "waveform"
    sample_rate: int = 8_000
    seconds: float = 1.0
    num_mels: int = 40
    window_ms: float = 25.0
    hop_ms: float = 10.0

    def __post_init__(self) -> None:
        for name in ("sample_rate", "seconds", "num_mels", "window_ms", "hop_ms"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} must be greater than 0 and finite, got {getattr(self, name)}")
        is_empty = self.features == "log_mel" and (self._hop < 1 or self._window < 2)
        if self.length < 1 or is_empty:
            raise UserError(
                f"seconds={self.seconds}, window_ms={self.window_ms} and hop_ms={self.hop_ms} must be longer than a "
                f"sample, which takes {1 / self.sample_rate:.2g} s"
            )
        if self.features == "log_mel":
            try:
                self._bands  # noqa: B018 - computed now, so that an error is one of the settings
            except ValueError as error:
                raise UserError(str(error)) from error

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "AudioFeatures":
        """Of the data set with this description, see AudioDataModule.description."""
        return cls(**{name: data["audio"][name] for name in cls.__dataclass_fields__})

    @property
    def length(self) -> int:
        """Samples of a recording."""
        return round(self.seconds * self.sample_rate)

    def description(self) -> dict[str, Any]:
        """All settings, and the frequencies of a spectrogram's bands in Hz."""
        is_waveform = self.features == "waveform"
        bands = [] if is_waveform else mel_frequencies(self.num_mels, self.sample_rate)
        return asdict(self) | {"frequencies": bands}

    def wave(self, source: Path | bytes, name: str | None = None) -> Wave:
        """A recording of the wanted rate and length, (T,).

        Raises:
            UserError: if it cannot be read.
        """
        return self.cut_or_padded(read_wav(source, self.sample_rate, name))

    def sample(self, source: Path | bytes, name: str | None = None) -> NDArray[np.float32]:
        """The sample (C, *spatial) of a recording; see wave."""
        return self.extract(torch.from_numpy(self.wave(source, name))[None])[0].numpy()

    def cut_or_padded(self, wave: Wave) -> Wave:
        """The middle of a recording, or a shorter one with silence on both sides."""
        missing = self.length - len(wave)
        if missing < 0:
            return wave[-missing // 2 :][: self.length]
        return np.pad(wave, (missing // 2, missing - missing // 2))

    def extract(self, waves: Tensor) -> Tensor:
        """Samples (N, C, *spatial) float32 of recordings (N, T)."""
        if self.features == "waveform":
            return waves[:, None]
        parts = [log_mel(some, self._bands, self._window, self._hop) for some in torch.split(waves, _WAVES_PER_BATCH)]
        return torch.cat(parts)[:, None]

    @property
    def _window(self) -> int:
        return round(self.window_ms * self.sample_rate / 1000)

    @property
    def _hop(self) -> int:
        return round(self.hop_ms * self.sample_rate / 1000)

    @cached_property
    def _bands(self) -> Tensor:
        n_fft = 2 ** (self._window - 1).bit_length()  # the next power of two, for which the transform is fast
        return mel_bands(self.num_mels, n_fft, self.sample_rate)
