"""Shows training samples in TensorBoard as a person looks at their kind of data."""

import html
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torchvision.utils import make_grid

_TAG = "data/training_batch"
_NUM_VOLUMES, _NUM_SLICES, _SMALLEST_SLICE = 12, 8, 64  # the last in pixels
_NUM_SERIES, _HEIGHT, _SMALLEST_STEP = 16, 48, 3  # pixels of a curve: its height, and the distance of two points
_NUM_PLAYED = 4
_WINDOW = 128  # values behind each column of a spectrogram
_QUIETEST = 1e-6  # of the loudest, 60 dB less
_MARKUP, _ESCAPED = re.compile(r"([\\`*_\[\]])"), r"\\\1"


def show_samples(writer: SummaryWriter, inputs: Tensor, labels: Tensor, data: Any) -> None:
    """Write samples as they are fed to the network: images, curves, slices, sounds to play, or words.

    Args:
        inputs: (N, C, *spatial) on the CPU.
        labels: (N,), of which texts are shown.
        data: the DataModule; any other object is taken for one of images.
    """
    kind = data.kind_of(inputs.dim() - 2) if hasattr(data, "kind_of") else "image"
    _SHOW.get(kind, _show_images)(writer, inputs, labels, data)


def _show_images(writer: SummaryWriter, inputs: Tensor, labels: Tensor, data: Any) -> None:
    if inputs.dim() == 4 and inputs.shape[1] in (1, 3):
        writer.add_image(_TAG, make_grid(inputs, normalize=True, pad_value=0.5), 0)


def _show_volumes(writer: SummaryWriter, inputs: Tensor, labels: Tensor, data: Any) -> None:
    """A row of evenly spaced slices through each volume, from the front to the back; of several channels the first."""
    volumes = inputs[:_NUM_VOLUMES, 0]
    depth = volumes.shape[1]
    chosen = ((torch.arange(min(_NUM_SLICES, depth)) + 0.5) * depth / min(_NUM_SLICES, depth)).long()
    slices = volumes[:, chosen].flatten(0, 1).unsqueeze(1)
    larger = max(1, _SMALLEST_SLICE // min(slices.shape[2:]))
    slices = slices.repeat_interleave(larger, dim=2).repeat_interleave(larger, dim=3)
    writer.add_image(_TAG, make_grid(slices, nrow=len(chosen), normalize=True, pad_value=0.5), 0)


def _show_series(writer: SummaryWriter, inputs: Tensor, labels: Tensor, data: Any) -> None:
    """A curve for each series, all on one scale; of several channels the first."""
    curves = inputs[:_NUM_SERIES, 0]
    step = max(1, min(_SMALLEST_STEP, 512 // curves.shape[1]))
    low, high = curves.aminmax()
    levels = ((high - curves) / (high - low).clamp(min=1e-12) * (_HEIGHT - 1)).round().long()
    levels = levels.repeat_interleave(step, dim=1)
    before = torch.cat([levels[:, :1], levels[:, :-1]], dim=1)
    top, bottom = torch.minimum(levels, before)[:, None], torch.maximum(levels, before)[:, None]
    row = torch.arange(_HEIGHT)[None, :, None]
    drawn = 1 - ((row >= top) & (row <= bottom)).float()  # black on white
    writer.add_image(_TAG, make_grid(drawn.unsqueeze(1), nrow=4, pad_value=0.5), 0)


def _show_audio(writer: SummaryWriter, inputs: Tensor, labels: Tensor, data: Any) -> None:
    """Spectrograms of all waveforms, and data/recording_0 to 3 to play."""
    for number, wave in enumerate(inputs[:_NUM_PLAYED, 0]):
        loudest = wave.abs().max().clamp(min=1e-9)
        writer.add_audio(f"data/recording_{number}", wave / loudest, 0, data.description()["audio"]["sample_rate"])
    _show_images(writer, _spectrograms(inputs), labels, data)


def _show_spectrograms(writer: SummaryWriter, inputs: Tensor, labels: Tensor, data: Any) -> None:
    _show_images(writer, inputs.flip(2), labels, data)  # low frequencies at the bottom


def _show_texts(writer: SummaryWriter, inputs: Tensor, labels: Tensor, data: Any) -> None:
    """A list in Markdown, each text behind its class. What could be taken for markup is escaped."""
    lines = []
    for numbers, label in zip(inputs[:, 0].long().tolist(), labels.tolist(), strict=False):
        words = html.escape(" ".join(data.vocabulary[number] for number in numbers if number))
        lines.append(f"- **{html.escape(data.class_names[label])}**: {_MARKUP.sub(_ESCAPED, words)}")
    writer.add_text(_TAG, "\n".join(lines), 0)


def _spectrograms(waves: Tensor) -> Tensor:
    """Decibels (N, 1, frequencies, frames) of the first channel, high frequencies first."""
    size = min(_WINDOW, waves.shape[-1])
    hann = torch.hann_window(size)
    fourier = torch.stft(waves[:, 0], size, hop_length=size // 2, window=hann, pad_mode="constant", return_complex=True)
    loudness = fourier.abs().square()
    floor = loudness.amax(dim=(1, 2), keepdim=True).clamp(min=1e-9) * _QUIETEST
    return torch.log10(loudness.clamp(min=floor) / floor).flip(1)[:, None]


_SHOW: dict[str, Callable[[SummaryWriter, Tensor, Tensor, Any], None]] = {
    "series": _show_series,
    "volume": _show_volumes,
    "audio": _show_audio,
    "spectrogram": _show_spectrograms,
    "text": _show_texts,
}
