"""Log-mel spectrograms against the formula: mel(f) = 2595 log10(1 + f / 700), triangles, decibels."""

import math

import numpy as np
import pytest
import torch
from sounds import RATE, tone

from cnnlab.data.log_mel import log_mel, mel_bands, mel_frequencies, to_mel

WINDOW, HOP, NUM_MELS = 256, 80, 20
BANDS = mel_bands(NUM_MELS, WINDOW, RATE)


def spectrogram(wave: np.ndarray) -> torch.Tensor:
    return log_mel(torch.from_numpy(wave)[None], BANDS, WINDOW, HOP)[0]


def test_1000_hz_are_1000_mel() -> None:
    assert to_mel(torch.tensor([0.0, 1000.0])).tolist() == pytest.approx([0, 1000], abs=0.1)


def test_bands_are_evenly_spaced_triangles() -> None:
    middles = torch.tensor(mel_frequencies(NUM_MELS, RATE))
    steps = to_mel(middles).diff()
    assert steps.tolist() == pytest.approx(
        [2595 * math.log10(1 + 4000 / 700) / (NUM_MELS + 1)] * (NUM_MELS - 1), rel=1e-3
    )
    frequencies = torch.linspace(0, RATE / 2, WINDOW // 2 + 1)
    between = (frequencies > middles[0]) & (frequencies < middles[-1])
    assert BANDS.sum(dim=0)[between].tolist() == pytest.approx([1.0] * int(between.sum()), abs=0.02)


@pytest.mark.parametrize("bin_number", [20, 50, 100])
@pytest.mark.parametrize("amplitude", [1.0, 0.1])
def test_a_pure_tone_is_as_loud_as_the_formula_says(bin_number: int, amplitude: float) -> None:
    """A Hann window spreads a sine over its frequency and, with a quarter of the power, the ones on both sides."""
    wave = tone(bin_number * RATE / WINDOW, seconds=1, amplitude=amplitude)
    power = amplitude**2 * (BANDS[:, bin_number] + (BANDS[:, bin_number - 1] + BANDS[:, bin_number + 1]) / 4)
    expected = (80 + 10 * torch.log10(power.clamp(min=1e-8))).clamp(min=0)
    found = spectrogram(wave)[:, 50]
    heard = expected > 40  # what leaks into other bands is far below
    np.testing.assert_allclose(found[heard], expected[heard], atol=0.1)
    assert int(found.argmax()) == int(expected.argmax())


def test_silence_is_zero_and_frames_lie_hop_samples_apart() -> None:
    wave = np.zeros(RATE, dtype=np.float32)
    assert spectrogram(wave).shape == (NUM_MELS, 1 + RATE // HOP)
    assert not spectrogram(wave).any()
    wave[40 * HOP] = 1
    assert spectrogram(wave).sum(dim=0).argmax() == 40


def test_bands_narrower_than_the_windows_frequencies_are_refused() -> None:
    with pytest.raises(
        ValueError, match="num_mels=200 makes bands that lie between two of the frequencies, 31.2 Hz apart"
    ):
        mel_bands(200, 256, RATE)
