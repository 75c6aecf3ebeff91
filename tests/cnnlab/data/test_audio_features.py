"""What a network gets of a recording: of one length, in the middle, from settings that a saved description holds."""

import numpy as np
import pytest
from sounds import RATE, tone

from cnnlab.data.audio_features import AudioFeatures
from cnnlab.data.files.wav import wav_bytes
from cnnlab.errors import UserError


def test_short_recordings_get_silence_and_long_ones_lose_as_much_on_both_sides() -> None:
    audio = AudioFeatures(sample_rate=10, seconds=1.0)
    assert audio.cut_or_padded(np.array([1, 2, 3], np.float32)).tolist() == [0, 0, 0, 1, 2, 3, 0, 0, 0, 0]
    assert audio.cut_or_padded(np.arange(15, dtype=np.float32)).tolist() == list(range(2, 12))
    assert audio.cut_or_padded(np.arange(10, dtype=np.float32)).tolist() == list(range(10))


def test_shapes_and_what_a_description_gives_back() -> None:
    content = wav_bytes(tone(440, 0.3), RATE)
    assert AudioFeatures().sample(content).shape == (1, 8_000)
    audio = AudioFeatures(features="log_mel", seconds=0.5, num_mels=32, hop_ms=20)
    assert audio.sample(content).shape == (1, 32, 26)
    assert audio.sample(content).dtype == np.float32
    again = AudioFeatures.of({"audio": audio.description()})
    assert again == audio
    assert len(audio.description()["frequencies"]) == 32


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seconds": 0}, "seconds must be greater than 0 and finite, got 0"),
        ({"seconds": float("inf")}, "seconds must be greater than 0 and finite, got inf"),
        ({"sample_rate": -1}, "sample_rate must be greater than 0"),
        ({"features": "log_mel", "hop_ms": 0.01}, "must be longer than a sample, which takes 0.00013 s"),
        ({"features": "log_mel", "num_mels": 200}, "num_mels=200 makes bands that lie between"),
    ],
)
def test_bad_settings_are_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        AudioFeatures(**settings)  # type: ignore[arg-type]
