"""Keeps an exponential moving average of the weights, which is validated, saved and tested in their place."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.trainer.states import TrainerFn


class WeightAverage(EMAWeightAveraging):
    """Lightning's moving average (Polyak & Juditsky, 1992), updated after every optimizer step.

    Args:
        decay: share of the old average that stays in a step; 0.99 remembers about a hundred steps.
    """

    def __init__(self, decay: float = 0.99) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be at least 0 and less than 1, got {decay}")
        super().__init__(decay=decay)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Resume the average. A test keeps it as it is, whereas Lightning would replace it by the last weights."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
