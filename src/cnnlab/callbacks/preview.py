"""What goes into training, shown before it starts: a grid of samples and the model's graph."""

import copy
import warnings

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.jit._trace import TracerWarning
from torchvision.utils import make_grid

_NUM_SAMPLES = 64


class Preview(Callback):
    """TensorBoard: data/training_batch (as augmented and normalised, scaled to 0..1 for the eye) and the graph."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        writers = [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if not writers or trainer.current_epoch > 0:
            return
        assert trainer.train_dataloader is not None
        inputs, _ = next(iter(trainer.train_dataloader))
        inputs = inputs[:_NUM_SAMPLES].cpu()
        for writer in writers:
            if inputs.dim() == 4 and inputs.shape[1] in (1, 3):
                writer.add_image("data/training_batch", make_grid(inputs, normalize=True, pad_value=0.5), 0)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*torch.jit.trace")
                warnings.filterwarnings("ignore", category=TracerWarning)
                writer.add_graph(_traceable(pl_module), inputs[:1], verbose=False)


def _traceable(pl_module: LightningModule) -> torch.nn.Module:
    """A copy of the network alone, on the CPU and in eval mode, so that tracing leaves the training untouched."""
    model = getattr(pl_module, "model", pl_module)
    assert isinstance(model, torch.nn.Module)
    return _Detached(copy.deepcopy(model).cpu().eval())


class _Detached(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            outputs: Tensor = self.model(inputs)
        return outputs
