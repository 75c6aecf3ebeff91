"""A preview before training starts: some training samples, as their kind is looked at, and the model's graph."""

import copy
import logging
import warnings
from collections.abc import Callable

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torchvision.utils import make_grid

log = logging.getLogger(__name__)

_NUM_SAMPLES = 64
_NUM_VOLUMES, _NUM_SLICES, _SMALLEST_SLICE = 12, 8, 64  # the last in pixels
_NUM_SERIES, _HEIGHT, _SMALLEST_STEP = 16, 48, 3  # pixels of a curve: its height, and the distance of two points


class Preview(Callback):
    """TensorBoard: data/training_batch (as augmented and normalised, scaled to 0..1 for the eye) and the graph.

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
            kind_of = getattr(getattr(trainer, "datamodule", None), "kind_of", None)  # of this project's data modules
            kind = kind_of(inputs.dim() - 2) if kind_of else "image"
            _SHOW.get(kind, _show_images)(writer, inputs)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # what torch.jit.trace says of networks is of no use to their users
                    writer.add_graph(_traceable(pl_module), inputs[:1], verbose=False)
            except Exception as error:  # the networks that run are more than those that can be copied and traced
                reason = (str(error).strip().splitlines() or [""])[0]
                log.info("note   TensorBoard shows no graph of this network: %s: %s", type(error).__name__, reason)


def _show_images(writer: SummaryWriter, inputs: Tensor) -> None:
    if inputs.dim() == 4 and inputs.shape[1] in (1, 3):
        writer.add_image("data/training_batch", make_grid(inputs, normalize=True, pad_value=0.5), 0)


def _show_volumes(writer: SummaryWriter, inputs: Tensor) -> None:
    """A row of evenly spaced slices through each volume, from the front to the back; of several channels the first."""
    volumes = inputs[:_NUM_VOLUMES, 0]
    depth = volumes.shape[1]
    chosen = ((torch.arange(min(_NUM_SLICES, depth)) + 0.5) * depth / min(_NUM_SLICES, depth)).long()
    slices = volumes[:, chosen].flatten(0, 1).unsqueeze(1)
    larger = max(1, _SMALLEST_SLICE // min(slices.shape[2:]))
    slices = slices.repeat_interleave(larger, dim=2).repeat_interleave(larger, dim=3)
    grid = make_grid(slices, nrow=len(chosen), normalize=True, pad_value=0.5)
    writer.add_image("data/training_batch", grid, 0)


def _show_series(writer: SummaryWriter, inputs: Tensor) -> None:
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
    writer.add_image("data/training_batch", make_grid(drawn.unsqueeze(1), nrow=4, pad_value=0.5), 0)


_SHOW: dict[str, Callable[[SummaryWriter, Tensor], None]] = {"series": _show_series, "volume": _show_volumes}


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
