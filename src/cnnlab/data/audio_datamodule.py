"""Data sets of recordings."""

import copy
from dataclasses import replace
from typing import Any, Self

from cnnlab.data.audio_features import AudioFeatures, Features
from cnnlab.data.datamodule import DataModule


class AudioDataModule(DataModule):
    """Recordings as waveforms (1, T) for 1-D networks or log-mel spectrograms (1, num_mels, frames) for 2-D ones.

    Args:
        features, sample_rate, seconds, num_mels, window_ms, hop_ms: see AudioFeatures.
        **loading: see DataModule.
    """

    def __init__(
        self,
        features: Features = "waveform",
        sample_rate: int = 8_000,
        seconds: float = 1.0,
        num_mels: int = 40,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        self.audio = AudioFeatures(features, sample_rate, seconds, num_mels, window_ms, hop_ms)

    @classmethod
    def kind_of(cls, num_spatial_dims: int) -> str:
        return "audio" if num_spatial_dims == 1 else "spectrogram"

    def description(self) -> dict[str, Any]:
        return super().description() | {"audio": self.audio.description()}

    def as_waveforms(self) -> Self:
        """The same samples in the same order, as one can listen to them."""
        other = copy.copy(self)
        other.audio = replace(self.audio, features="waveform")
        other.shuffle_axis = "none"
        other._splits = None
        return other
