"""augment=time moves, stretches, and changes the loudness; for spectrograms with the same meaning in decibels."""

from pathlib import Path

import pytest
import torch
from sounds import fill, tone

from cnnlab.data.audio_features import AudioFeatures
from cnnlab.data.audio_folder import AudioFolder
from cnnlab.data.augment_time import Time
from cnnlab.data.npz import Npz
from cnnlab.errors import UserError

NOTHING = {"max_shift": 0.0, "gain_db": 0.0, "noise_db": None}


def changed(batch: torch.Tensor, **settings: object) -> torch.Tensor:
    return Time(**(NOTHING | settings))(batch, torch.Generator().manual_seed(0))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(50, 1, 100), (50, 1, 4, 100)])
def test_samples_move_in_time_as_a_whole_and_leave_silence(shape: tuple[int, ...]) -> None:
    batch = torch.zeros(shape)
    batch[..., 50] = torch.arange(1.0, 1 + batch[0, ..., 0].numel()).reshape(shape[1:-1])
    moved = changed(batch, max_shift=0.1)
    places = moved.flatten(1, -2)[:, 0].argmax(dim=1)
    assert set(places.tolist()) <= set(range(40, 61))
    assert len(set(places.tolist())) > 10
    for sample, place in zip(moved, places, strict=True):
        assert torch.equal(sample[..., place], batch[0, ..., 50])
        assert sample.sum() == batch[0].sum()


def test_stretched_tones_have_another_pitch() -> None:
    waves = torch.from_numpy(tone(500, 1.0))[None, None].repeat(40, 1, 1)
    peaks = torch.fft.rfft(changed(waves, stretch=0.2)[:, 0]).abs().argmax(dim=1)
    assert peaks.min() >= 500 / 1.2 - 2
    assert peaks.max() <= 500 / 0.8 + 2
    assert peaks.float().std() > 20


def test_gain_has_the_same_meaning_for_waves_and_spectrograms() -> None:
    waves = torch.from_numpy(tone(700, 1.0, amplitude=0.2))[None].repeat(20, 1)
    audio = AudioFeatures(features="log_mel")
    louder = changed(waves[:, None], gain_db=12.0)
    gains = 20 * torch.log10(louder.square().mean(dim=(1, 2)) / waves.square().mean(dim=1)) / 2
    assert gains.abs().max() <= 12.001
    assert gains.std() > 3
    spectrograms = changed(audio.extract(waves), gain_db=12.0)
    loud = audio.extract(waves) > 30
    torch.testing.assert_close(spectrograms[loud], audio.extract(louder[:, 0])[loud], atol=0.1, rtol=0)
    assert not spectrograms[audio.extract(waves) == 0].any()


def test_noise_is_as_loud_as_said_for_both() -> None:
    waves = torch.from_numpy(tone(700, 1.0, amplitude=0.2))[None].repeat(200, 1)
    noise = changed(waves[:, None], noise_db=-20.0)[:, 0] - waves
    relative = noise.square().mean(dim=1).sqrt() / waves.square().mean(dim=1).sqrt()
    assert 0.08 < relative.max() < 0.105
    assert relative.min() < 0.02
    heard = 10 ** (AudioFeatures(features="log_mel").extract(waves[:50]) / 10)
    noisy = 10 ** (changed(10 * torch.log10(heard), noise_db=-20.0) / 10)
    assert ((noisy - heard).mean(dim=(1, 2, 3)) / heard.mean(dim=(1, 2, 3))).max() == pytest.approx(0.01, rel=0.15)


@pytest.mark.parametrize("features", ["waveform", "log_mel"])
def test_training_batches_of_recordings_are_changed_and_others_are_not(features: str, tmp_path: Path) -> None:
    fill(tmp_path / "tones", {"low": 300, "high": 1200}, 10)
    plain, data = (
        AudioFolder(str(tmp_path / "tones"), features=features, batch_size=8, augment=augment)  # type: ignore[arg-type]
        for augment in (None, Time())
    )
    for one in (plain, data):
        one.setup()
    assert torch.equal(next(iter(plain.val_dataloader()))[0], next(iter(data.val_dataloader()))[0])
    assert not torch.equal(next(iter(plain.train_dataloader()))[0], next(iter(data.train_dataloader()))[0])


def test_images_are_refused(tmp_path: Path) -> None:
    import numpy as np

    images, labels = np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2
    np.savez(tmp_path / "images.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    with pytest.raises(
        UserError, match="^augment: Time is for data of the kind audio, spectrogram, series, got image; "
    ):
        Npz(str(tmp_path / "images.npz"), batch_size=2, augment=Time()).setup()
    with pytest.raises(UserError, match="max_shift must be at least 0 and less than 1, got 2"):
        Time(max_shift=2)
