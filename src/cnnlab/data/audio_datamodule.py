"""Data sets of recordings."""

import copy
from dataclasses import replace
from typing import Any, Self

from cnnlab.data.datamodule import DataModule
from cnnlab.data.hearing import Features, Hearing


class AudioDataModule(DataModule):
    """Recordings as waveforms (1, T) for 1-D networks or log-mel spectrograms (1, num_mels, frames) for 2-D ones.

    Args:
        features, sample_rate, seconds, num_mels, window_ms, hop_ms: see Hearing.
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
        self.hearing = Hearing(features, sample_rate, seconds, num_mels, window_ms, hop_ms)

    @classmethod
    def kind_of(cls, num_spatial_dims: int) -> str:
        return "audio" if num_spatial_dims == 1 else "spectrogram"

    def description(self) -> dict[str, Any]:
        return super().description() | {"audio": self.hearing.description()}

    def as_waveforms(self) -> Self:
        """The same samples in the same order, as one can listen to them."""
        other = copy.copy(self)
        other.hearing = replace(self.hearing, features="waveform")
        other.shuffle_axis = "none"
        other._splits = None
        return other
