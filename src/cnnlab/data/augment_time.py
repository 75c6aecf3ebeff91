"""Random changes of recordings and other series, in time and in loudness."""

import torch
from torch import Generator, Tensor

from cnnlab.data.augment import Affine, Shift
from cnnlab.errors import UserError


class Time:
    """Move, stretch, make louder or quieter, and add noise, each sample by its own amounts.

    Waveforms and other series are (N, C, T). Spectrograms are (N, C, bands, frames) in decibels above silence, which is
    zero, as log_mel.py makes them; the changes have the same meaning for them, and all bands move together.

    Args:
        max_shift: the largest shift in either direction, as a fraction of the length; the gap is silent.
        stretch: slower or faster by a factor uniform in 1 - stretch to 1 + stretch, which also changes the pitch of
            waveforms.
        gain_db: louder or quieter by up to so many decibels.
        noise_db: the loudest noise in decibels relative to each sample as a whole, whose amplitude is uniform from zero
            to there; None: no noise.
    """

    kinds = ("audio", "spectrogram", "series")

    def __init__(
        self, max_shift: float = 0.1, stretch: float = 0.0, gain_db: float = 6.0, noise_db: float | None = -30.0
    ) -> None:
        if not 0 <= max_shift < 1:
            raise UserError(f"max_shift must be at least 0 and less than 1, got {max_shift}")
        if gain_db < 0:
            raise UserError(f"gain_db must be at least 0, got {gain_db}")
        self.max_shift, self.gain_db, self.noise_db = max_shift, gain_db, noise_db
        self._stretch = Affine(degrees=0, scale=stretch, translate=0) if stretch else None

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        series = batch.flatten(1, -2)  # the bands of a spectrogram become channels: only time is left to move in
        series = Shift(round(self.max_shift * series.shape[-1]))(series, generator)
        if self._stretch is not None:
            series = self._stretch(series, generator)
        moved = series.reshape(batch.shape)
        return self._loudness_of_waves(moved, generator) if batch.dim() == 3 else self._of_decibels(moved, generator)

    def _loudness_of_waves(self, waves: Tensor, generator: Generator) -> Tensor:
        waves = waves * 10 ** (self._gain(waves, generator) / 20)
        if self.noise_db is None:
            return waves
        loudness = waves.square().mean(dim=(1, 2), keepdim=True).sqrt()
        noise = torch.randn(waves.shape, generator=generator, device=waves.device)
        return waves + self._noise_amplitude(waves, generator) * loudness * noise

    def _of_decibels(self, decibels: Tensor, generator: Generator) -> Tensor:
        """A gain adds decibels to whatever is not silent. Noise adds to the power, as random as noise's own is."""
        decibels = torch.where(decibels > 0, decibels + self._gain(decibels, generator), 0).clamp_(min=0)
        if self.noise_db is None:
            return decibels
        power = 10 ** (decibels / 10)
        noise = torch.empty_like(power).exponential_(generator=generator)
        loudness = power.mean(dim=(1, 2, 3), keepdim=True)
        power += self._noise_amplitude(decibels, generator) ** 2 * loudness * noise
        return 10 * torch.log10(power)

    def _gain(self, batch: Tensor, generator: Generator) -> Tensor:
        """(N, 1, …) decibels."""
        return self.gain_db * (2 * _uniform(batch, generator) - 1)

    def _noise_amplitude(self, batch: Tensor, generator: Generator) -> Tensor:
        """(N, 1, …), relative to the samples' root mean square."""
        assert self.noise_db is not None
        return 10 ** (self.noise_db / 20) * _uniform(batch, generator)


def _uniform(batch: Tensor, generator: Generator) -> Tensor:
    draws = torch.rand(len(batch), generator=generator, device=batch.device)
    return draws.reshape(-1, *[1] * (batch.dim() - 1))
