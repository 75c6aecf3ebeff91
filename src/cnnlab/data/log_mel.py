"""Log-mel spectrograms: how loud each band of frequencies is, over time, on scales that resemble human hearing.

The mel scale and its triangular bands are those of the HTK Book (Young et al., 2006, section 5.4), after O'Shaughnessy
(1987) and Davis & Mermelstein (1980): mel(f) = 2595 log10(1 + f / 700).
"""

import torch
from torch import Tensor

_QUIETEST = 80.0  # decibels below a full-scale sine, which become zero: silence is the background


def log_mel(waves: Tensor, bands: Tensor, window: int, hop: int) -> Tensor:
    """Return (N, num_mels, 1 + T // hop) decibels above 80 dB below a full-scale sine, at least 0, for waves (N, T).

    Frame t is centred on sample t * hop; beyond both ends there is silence. A sine of amplitude 1 whose frequency is
    the middle of a band gives 80 in that band, or a little more where the band covers several Fourier frequencies.

    Args:
        bands: (num_mels, 1 + n_fft // 2), see mel_bands.
        window: length of the Hann window, in samples.
        hop: samples between two frames.
    """
    hann = torch.hann_window(window)
    n_fft = 2 * (bands.shape[1] - 1)
    fourier = torch.stft(waves, n_fft, hop, window, hann, center=True, pad_mode="constant", return_complex=True)
    power = (fourier.abs() / (hann.sum() / 2)) ** 2  # of a sine of amplitude 1: 1 at its frequency
    decibels = 10 * torch.log10((bands @ power).clamp(min=10 ** (-_QUIETEST / 10)))
    return decibels + _QUIETEST


def mel_bands(num_mels: int, n_fft: int, sample_rate: int) -> Tensor:
    """The weights (num_mels, 1 + n_fft // 2) of the Fourier frequencies in each band.

    Bands are triangles with height 1 in the middle and 0 at the middle of their neighbours, evenly spaced in mel.

    Raises:
        ValueError: if a band lies between two Fourier frequencies, so that it would always be empty.
    """
    frequencies = torch.linspace(0, sample_rate / 2, 1 + n_fft // 2, dtype=torch.float64)
    corners = _corners(num_mels, sample_rate)
    lower, middle, upper = (corners[i : i + num_mels, None] for i in range(3))
    rising, falling = (frequencies - lower) / (middle - lower), (upper - frequencies) / (upper - middle)
    bands = torch.minimum(rising, falling).clamp(min=0)
    if (bands.sum(dim=1) == 0).any():
        raise ValueError(
            f"num_mels={num_mels} makes bands that lie between two of the frequencies, {sample_rate / n_fft:.3g} Hz "
            "apart, of the window; give fewer bands or a longer window"
        )
    return bands.float()


def mel_frequencies(num_mels: int, sample_rate: int) -> list[float]:
    """The frequency in the middle of each band, in Hz."""
    return [round(frequency, 1) for frequency in _corners(num_mels, sample_rate)[1:-1].tolist()]


def to_mel(frequencies: Tensor) -> Tensor:
    """Hz to mel."""
    return 2595 * torch.log10(1 + frequencies / 700)


def _corners(num_mels: int, sample_rate: int) -> Tensor:
    """(num_mels + 2,) frequencies in Hz from 0 to half the sample rate, evenly spaced in mel."""
    highest = to_mel(torch.tensor(sample_rate / 2, dtype=torch.float64))
    return 700 * (10 ** (torch.linspace(0, 1, num_mels + 2, dtype=torch.float64) * highest / 2595) - 1)
