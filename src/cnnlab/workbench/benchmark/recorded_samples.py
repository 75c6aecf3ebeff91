"""Training recordings as a course would read them: each from its WAV file when its turn comes."""

import functools
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cnnlab.data.audio_datamodule import AudioDataModule
from cnnlab.data.files.wav import wav_bytes
from cnnlab.data.loading.normalisation import Normalise


class RecordedSamples(Dataset[tuple[Tensor, Tensor]]):
    """The training recordings, not augmented: read, made features of, and normalised one by one."""

    def __init__(self, data: AudioDataModule) -> None:
        self.folder = _written(data)
        self.labels, self.audio = data.training.labels, data.audio
        self.normalise = Normalise(data.mean, data.std, data.scale, len(data.input_shape) - 1, torch.device("cpu"))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample = torch.from_numpy(self.audio.sample(Path(self.folder.name, f"{index}.wav")))
        return self.normalise(sample[None])[0], self.labels[index]


@functools.cache
def _written(data: AudioDataModule) -> "TemporaryDirectory[str]":
    """A folder with a WAV file for each training sample, as long as this process lives."""
    folder, waves = TemporaryDirectory(), data.as_waveforms()
    waves.setup()
    for number in range(len(waves.training)):
        wave = waves.training[number][0][0].numpy()  # type: ignore[index]
        Path(folder.name, f"{number}.wav").write_bytes(wav_bytes(wave, data.audio.sample_rate))
    return folder
