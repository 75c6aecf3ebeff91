"""Reads WAV files of any common format as one channel of numbers in [-1, 1], and writes them."""

import math
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from cnnlab.errors import UserError, printable

Wave = NDArray[np.float32]

_HIGHEST_RATE = 2**20  # Hz; headers that say more are damaged, and resampling would fill the memory
_LOUDEST = 2.0**32  # floating point may leave [-1, 1], but not by more than integers that were never scaled


def is_wav(name: str) -> bool:
    """Whether a file's name is a WAV file's."""
    return name.lower().endswith((".wav", ".wave"))


def read_wav(source: Path | bytes, sample_rate: int, name: str | None = None) -> Wave:
    """Return a recording as (T,) float32 in [-1, 1], resampled to `sample_rate`; of several channels the mean.

    Args:
        source: where the file lies, or its whole content. It holds 8, 16, 24 or 32-bit integers or floating point.
        sample_rate: numbers per second.
        name: what errors call the file; None: its path.

    Raises:
        UserError: if it is no such file, damaged, or empty.
    """
    called = printable(name or (str(source) if isinstance(source, Path) else "the recording"))
    if source == b"" or (isinstance(source, Path) and source.is_file() and source.stat().st_size == 0):
        raise UserError(f"{called} cannot be read as a WAV file (it is empty)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of parts that hold no sound, such as a title
            warnings.filterwarnings("error", "Reached EOF prematurely", wavfile.WavFileWarning)
            rate, stored = wavfile.read(BytesIO(source) if isinstance(source, bytes) else source)
    except UnboundLocalError as error:  # which is how scipy's reader finds no data
        raise UserError(f"{called} cannot be read as a WAV file (it holds no sound)") from error
    except Exception as error:  # scipy's reader raises many kinds of errors for damaged files
        raise UserError(f"{called} cannot be read as a WAV file ({_plain(error)})") from error
    if stored.size == 0 or rate < 1:
        raise UserError(f"{called} cannot be read as a WAV file (it holds no sound)")
    if rate > _HIGHEST_RATE:
        raise UserError(f"{called} cannot be read as a WAV file (its header says {rate:,} Hz)")
    wave = _in_unit_range(stored)
    if wave.ndim == 2:
        wave = wave.mean(axis=1)
    if not (np.abs(wave) <= _LOUDEST).all():
        raise UserError(f"{called} holds NaN, infinity or numbers that are no sound; those of sound are from -1 to 1")
    if rate != sample_rate:
        from scipy.signal import resample_poly  # takes a second to import

        common = math.gcd(rate, sample_rate)
        wave = resample_poly(wave, sample_rate // common, rate // common)
    return wave.astype(np.float32)


def wav_bytes(wave: Wave, sample_rate: int) -> bytes:
    """A file of 16 bits with this recording; what lies outside of [-1, 1] is cut off."""
    buffer = BytesIO()
    wavfile.write(buffer, sample_rate, np.rint(np.clip(wave, -1, 1) * 32767).astype(np.int16))
    return buffer.getvalue()


def _in_unit_range(stored: NDArray[Any]) -> NDArray[np.float64]:
    """Unsigned 8 bits have their zero in the middle; 24 bits come from scipy as the upper ones of 32."""
    if stored.dtype.kind == "f":
        return stored.astype(np.float64)
    if stored.dtype.kind == "u":
        return (stored.astype(np.float64) - 128) / 128
    return stored.astype(np.float64) / -float(np.iinfo(stored.dtype).min)


def _plain(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, wavfile.WavFileWarning):
        return "it ends before the sound that its header announces"
    return " ".join(str(error).split()) or "it is damaged"
