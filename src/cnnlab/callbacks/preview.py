"""Shows some training samples and the graph of the network in TensorBoard before the training starts."""

import copy
import logging
import warnings
from typing import TYPE_CHECKING

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from cnnlab.loggers.training_samples import show_samples

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)

_NUM_SAMPLES = 64


class Preview(Callback):
    """Write data/training_batch, augmented and normalised samples in the way of their kind, and the graph.

    A network that cannot be traced has no graph. That is logged, and the training goes on.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        writers = [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if not writers or trainer.current_epoch > 0:
            return
        assert trainer.train_dataloader is not None
        inputs, labels = next(iter(trainer.train_dataloader))
        inputs = inputs[:_NUM_SAMPLES].float().cpu()
        for writer in writers:
            show_samples(writer, inputs, labels, getattr(trainer, "datamodule", None))
            try:
                draw_graph(writer, pl_module, inputs[:1])
            except Exception as error:  # not every network that runs can be copied and traced
                reason = (str(error).strip().splitlines() or [""])[0]
                log.info("note    TensorBoard shows no graph of this network: %s: %s", type(error).__name__, reason)


def draw_graph(writer: "SummaryWriter", pl_module: LightningModule, inputs: Tensor) -> None:
    """Write the graph of the network for this batch."""
    network = _traceable(pl_module)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch.jit.trace warns of many networks that are fine
        # add_graph would trace it twice and import torch.distributed.tensor to compare.
        traced = torch.jit.trace(network, inputs, check_trace=False)  # type: ignore[no-untyped-call]
        writer.add_graph(traced, inputs, verbose=False)


def _traceable(pl_module: LightningModule) -> torch.nn.Module:
    """Return a copy of the network on the CPU, in eval mode and float32: tracing must not touch the training."""
    model = getattr(pl_module, "model", pl_module)
    assert isinstance(model, torch.nn.Module)
    return copy.deepcopy(model).cpu().float().eval()
