"""Small recordings for tests: tones with noise, and a Free Spoken Digit Dataset of two speakers."""

import zipfile
from pathlib import Path

import numpy as np

from cnnlab.data.files.wav import Wave, wav_bytes

RATE = 8_000


def tone(frequency: float, seconds: float = 0.5, amplitude: float = 0.5, seed: int | None = None) -> Wave:
    """A sine, with some noise if there is a seed."""
    times = np.arange(round(seconds * RATE)) / RATE
    noise = 0 if seed is None else np.random.default_rng(seed).normal(0, 0.01, len(times))
    return (amplitude * np.sin(2 * np.pi * frequency * times) + noise).astype(np.float32)


def fill(folder: Path, frequencies: dict[str, float], number: int) -> Path:
    """So many recordings of each class, <folder>/<class>/<number>.wav."""
    for name, frequency in frequencies.items():
        (folder / name).mkdir(parents=True)
        for seed in range(number):
            wave = tone(frequency, seconds=0.3 + 0.02 * seed, seed=seed)
            (folder / name / f"{seed}.wav").write_bytes(wav_bytes(wave, RATE))
    return folder


def spoken_digits(speakers: tuple[str, ...] = ("george", "theo"), num_takes: int = 12) -> dict[str, bytes]:
    """Files by name in the data set's way: a digit is a frequency, a speaker another loudness."""
    return {
        f"{digit}_{speaker}_{take}.wav": wav_bytes(
            tone(200 + 150 * digit, 0.3, 0.3 + 0.2 * place, seed=1000 * digit + 100 * place + take), RATE
        )
        for digit in range(10)
        for place, speaker in enumerate(speakers)
        for take in range(num_takes)
    }


def zipped(path: Path, files: dict[str, bytes], inner: str = "recordings") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{inner}/{name}", content)
    return path
