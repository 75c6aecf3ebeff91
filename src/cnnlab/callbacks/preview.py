"""Shows some training samples and the graph of the network in TensorBoard before the training starts."""

import copy
import html
import logging
import re
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torchvision.utils import make_grid

log = logging.getLogger(__name__)

_NUM_SAMPLES = 64
_MARKUP, _ESCAPED = re.compile(r"([\\`*_\[\]])"), r"\\\1"


class Preview(Callback):
    """Write data/training_batch, augmented and normalised samples with their values scaled to 0..1, and the graph.

    A network that cannot be traced has no graph. That is logged, and the training goes on.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        writers = [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if not writers or trainer.current_epoch > 0:
            return
        assert trainer.train_dataloader is not None
        inputs, labels = next(iter(trainer.train_dataloader))
        data: Any = getattr(trainer, "datamodule", None)
        inputs = inputs[:_NUM_SAMPLES].float().cpu()
        for writer in writers:
            if inputs.dim() == 4 and inputs.shape[1] in (1, 3):
                writer.add_image("data/training_batch", make_grid(inputs, normalize=True, pad_value=0.5), 0)
            elif (vocabulary := getattr(data, "vocabulary", None)) is not None:
                writer.add_text("data/training_batch", _as_list(inputs, labels, vocabulary, data.class_names), 0)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # torch.jit.trace warns of many networks that are fine
                    writer.add_graph(_traceable(pl_module), inputs[:1], verbose=False)
            except Exception as error:  # not every network that runs can be copied and traced
                reason = (str(error).strip().splitlines() or [""])[0]
                log.info("note   TensorBoard shows no graph of this network: %s: %s", type(error).__name__, reason)


def _as_list(inputs: Tensor, labels: Tensor, vocabulary: Sequence[str], class_names: Sequence[str]) -> str:
    """Texts (N, 1, length) as a list in Markdown, each behind its class. What could be taken for markup is escaped."""
    lines = []
    for numbers, label in zip(inputs[:, 0].long().tolist(), labels.tolist(), strict=False):
        words = html.escape(" ".join(vocabulary[number] for number in numbers if number))
        lines.append(f"- **{html.escape(class_names[label])}**: {_MARKUP.sub(_ESCAPED, words)}")
    return "\n".join(lines)


def _traceable(pl_module: LightningModule) -> torch.nn.Module:
    """Return a copy of the network on the CPU, in eval mode and float32: tracing must not touch the training."""
    model = getattr(pl_module, "model", pl_module)
    assert isinstance(model, torch.nn.Module)
    return _Detached(copy.deepcopy(model).cpu().float().eval())


class _Detached(torch.nn.Module):
    """Calls a network without gradients."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            outputs: Tensor = self.model(inputs)
        return outputs
