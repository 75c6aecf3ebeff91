"""A preview before training starts: a grid of training samples and the model's graph."""

import copy
import logging
import warnings
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torchvision.utils import make_grid

log = logging.getLogger(__name__)

_NUM_SAMPLES = 64
_NUM_PLAYED = 4
_WINDOW = 128  # samples behind each column of a spectrogram
_QUIETEST = 1e-6  # of the loudest, 60 dB less


class Preview(Callback):
    """TensorBoard: data/training_batch (as augmented and normalised, scaled to 0..1 for the eye) and the graph.

    Of waveforms data/training_batch shows spectrograms, and data/recording_0 to 3 can be played.

    A network that cannot be traced has no graph, which is logged and stops nothing.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        writers = [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if not writers or trainer.current_epoch > 0:
            return
        assert trainer.train_dataloader is not None
        inputs, _ = next(iter(trainer.train_dataloader))
        inputs = inputs[:_NUM_SAMPLES].float().cpu()
        for writer in writers:
            _show_samples(writer, inputs, getattr(trainer, "datamodule", None))
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # what torch.jit.trace says of networks is of no use to their users
                    writer.add_graph(_traceable(pl_module), inputs[:1], verbose=False)
            except Exception as error:  # the networks that run are more than those that can be copied and traced
                reason = (str(error).strip().splitlines() or [""])[0]
                log.info("note   TensorBoard shows no graph of this network: %s: %s", type(error).__name__, reason)


def _show_samples(writer: Any, inputs: Tensor, datamodule: Any) -> None:
    """Show samples in the way of their kind; of a kind that has none, nothing."""
    kind = datamodule.kind_of(inputs.dim() - 2) if hasattr(datamodule, "kind_of") else None
    if kind == "audio":
        _play(writer, inputs, datamodule.description()["audio"]["sample_rate"])
        inputs = _spectrograms(inputs)
    elif kind == "spectrogram":
        inputs = inputs.flip(2)  # low frequencies at the bottom
    if inputs.dim() == 4 and inputs.shape[1] in (1, 3):
        writer.add_image("data/training_batch", make_grid(inputs, normalize=True, pad_value=0.5), 0)


def _play(writer: Any, waves: Tensor, sample_rate: int) -> None:
    for number, wave in enumerate(waves[:_NUM_PLAYED, 0]):
        loudest = wave.abs().max().clamp(min=1e-9)
        writer.add_audio(f"data/recording_{number}", wave / loudest, 0, sample_rate)


def _spectrograms(waves: Tensor) -> Tensor:
    """Decibels (N, 1, frequencies, frames) of the first channel, high frequencies first."""
    size = min(_WINDOW, waves.shape[-1])
    hann = torch.hann_window(size)
    fourier = torch.stft(waves[:, 0], size, hop_length=size // 2, window=hann, pad_mode="constant", return_complex=True)
    loudness = fourier.abs().square()
    floor = loudness.amax(dim=(1, 2), keepdim=True).clamp(min=1e-9) * _QUIETEST
    return torch.log10(loudness.clamp(min=floor) / floor).flip(1)[:, None]


def _traceable(pl_module: LightningModule) -> torch.nn.Module:
    """A copy of the network alone, on the CPU, in eval mode and float32: tracing leaves the training untouched."""
    model = getattr(pl_module, "model", pl_module)
    assert isinstance(model, torch.nn.Module)
    return _Detached(copy.deepcopy(model).cpu().float().eval())


class _Detached(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            outputs: Tensor = self.model(inputs)
        return outputs
