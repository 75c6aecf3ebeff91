"""Shows training samples in TensorBoard as a person looks at their kind of data."""

import html
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

from cnnlab.loggers.labelled_grid import labelled_grid

_TAG = "data/training_batch"
_NUM_IMAGES = 30
_NUM_VOLUMES, _NUM_SLICES = 12, 8
_NUM_SERIES, _HEIGHT, _SMALLEST_STEP = 16, 48, 3  # pixels of a curve: its height, and the distance of two points
_NUM_PLAYED = 4
_WINDOW = 128  # values behind each column of a spectrogram
_QUIETEST = 1e-6  # of the loudest, 60 dB less
_MARKUP, _ESCAPED = re.compile(r"([\\`*_\[\]])"), r"\\\1"


def show_samples(writer: SummaryWriter, inputs: Tensor, labels: Tensor, data: Any) -> None:
    """Write samples as they are fed to the network: images, curves, slices, sounds or words, with labels.

    Args:
        inputs: (N, C, *spatial) on the CPU.
        labels: (N,) classes or numbers, or (N, num_classes) of which several may be true.
        data: the DataModule; any other object is taken for one of images.
    """
    kind = data.kind_of(inputs.dim() - 2) if hasattr(data, "kind_of") else "image"
    _SHOW.get(kind, _show_images)(writer, inputs, labels, data)


def _show_images(writer: SummaryWriter, inputs: Tensor, labels: Tensor, data: Any) -> None:
    if inputs.dim() == 4 and inputs.shape[1] in (1, 3):
        _add_grid(writer, inputs[:_NUM_IMAGES], labels, data, per_row=5)


def _show_volumes(writer: SummaryWriter, inputs: Tensor, labels: Tensor, data: Any) -> None:
    """A row of evenly spaced slices through each volume, from the front to the back; of several channels the first."""
    volumes = inputs[:_NUM_VOLUMES, 0]
    depth = volumes.shape[1]
    chosen = ((torch.arange(min(_NUM_SLICES, depth)) + 0.5) * depth / min(_NUM_SLICES, depth)).long()
    slices = volumes[:, chosen]
    slices = functional.pad(slices, (0, 1), value=float(slices.max()))  # a white line between two slices
    side_by_side = slices.permute(0, 2, 1, 3).flatten(2)
    _add_grid(writer, side_by_side.unsqueeze(1), labels, data, per_row=1)


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
    _add_grid(writer, drawn.unsqueeze(1), labels, data, per_row=4)


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


def _add_grid(writer: SummaryWriter, pictures: Tensor, labels: Tensor, data: Any, per_row: int) -> None:
    class_names = None if getattr(data, "targets", None) == "values" else getattr(data, "class_names", None)
    names = [_name(label, class_names) for label in labels]
    writer.add_image(_TAG, labelled_grid(pictures, names, per_row), 0, dataformats="HWC")


def _name(label: Tensor, class_names: Sequence[str] | None) -> str:
    if label.dim() == 1 and class_names is not None:  # several classes may be true of one sample, or each in part
        found = {name: value for name, value in zip(class_names, label.tolist(), strict=True) if value >= 0.005}
        return ", ".join(name if value > 0.995 else f"{value:.0%} {name}" for name, value in found.items())
    if label.is_floating_point() or class_names is None:
        return ", ".join(f"{value:.4g}" for value in label.reshape(-1).tolist())
    return class_names[int(label)]


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
