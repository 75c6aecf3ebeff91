"""WAV files of all common formats give the same numbers; what is none is named in one line."""

import re
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from cnnlab.data.files.wav import is_wav, read_wav, wav_bytes
from cnnlab.errors import UserError

RATE = 8_000
WAVE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(800) / RATE)).astype(np.float32)


def stored(values: np.ndarray, rate: int = RATE) -> bytes:
    buffer = BytesIO()
    wavfile.write(buffer, rate, values)
    return buffer.getvalue()


def in_24_bits(wave: np.ndarray) -> bytes:
    """scipy reads 24 bits but writes none."""
    numbers = np.rint(wave * (2**23 - 1)).astype("<i4")
    data = numbers.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, RATE, 3 * RATE, 3, 24)
    return head + struct.pack("<4sI", b"data", len(data)) + data


@pytest.mark.parametrize(
    ("content", "tolerance"),
    [
        (stored(np.rint(WAVE * 127 + 128).astype(np.uint8)), 2 / 128),
        (stored(np.rint(WAVE * 32767).astype(np.int16)), 2 / 32768),
        (in_24_bits(WAVE), 1e-6),
        (stored(np.rint(WAVE.astype(np.float64) * (2**31 - 1)).astype(np.int32)), 1e-6),
        (stored(WAVE), 1e-7),
        (stored(WAVE.astype(np.float64)), 1e-7),
        (stored(np.stack([WAVE + 0.1, WAVE - 0.1], axis=1)), 1e-6),
    ],
    ids=["8 bits", "16 bits", "24 bits", "32 bits", "float", "double", "stereo"],
)
def test_every_format_gives_the_wave(content: bytes, tolerance: float, tmp_path: Path) -> None:
    (tmp_path / "tone.wav").write_bytes(content)
    for wave in (read_wav(content, RATE), read_wav(tmp_path / "tone.wav", RATE)):
        assert wave.dtype == np.float32
        np.testing.assert_allclose(wave, WAVE, atol=tolerance)


@pytest.mark.parametrize("rate", [4_000, 11_025, 16_000])
def test_other_rates_are_resampled(rate: int) -> None:
    times = np.arange(rate) / rate
    wave = read_wav(stored(np.sin(2 * np.pi * 300 * times).astype(np.float32), rate), RATE)
    assert len(wave) == RATE
    middle = slice(200, -200)  # beyond both ends there is silence, which the filter sees
    np.testing.assert_allclose(wave[middle], np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)[middle], atol=0.01)


def test_what_is_written_is_read_again() -> None:
    np.testing.assert_allclose(read_wav(wav_bytes(WAVE, RATE), RATE), WAVE, atol=1e-4)
    assert read_wav(wav_bytes(3 * WAVE, RATE), RATE).max() == pytest.approx(1, abs=1e-4)


def test_what_holds_no_sound_is_no_matter() -> None:
    content = stored(np.rint(WAVE * 32767).astype(np.int16))
    titled = content[:36] + struct.pack("<4sI4s", b"note", 4, b"song") + content[36:]
    assert len(read_wav(titled, RATE)) == len(WAVE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"no sound at all", "not understood"),
        (stored(WAVE)[:-400], "it ends before the sound that its header announces"),
        (stored(np.zeros(0, np.int16)), "it holds no sound"),
        (b"RIFF" + struct.pack("<I", 28) + stored(np.zeros(9, np.int16))[8:36], "it holds no sound"),
        (stored(np.full(9, np.nan, np.float32)), "NaN"),
        (stored(np.full(9, 1e300)), "numbers that are no sound"),
        (stored(WAVE, 99_999_989), "its header says 99,999,989 Hz"),
    ],
    ids=["empty", "text", "cut", "silent", "header", "nan", "beyond float32", "rate"],
)
def test_a_bad_file_is_one_line_that_names_it(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"^{re.escape(str(path))} .*{reason}") as caught:
        read_wav(path, RATE)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"^a/b.wav "):
        read_wav(content, RATE, "a/b.wav")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.wav cannot be read as a WAV file \(No such file or directory\)"):
        read_wav(tmp_path / "none.wav", RATE)


def test_names() -> None:
    assert [is_wav(name) for name in ("a.wav", "A.WAV", "a.wave", "a.mp3", "wav")] == [True, True, True, False, False]
