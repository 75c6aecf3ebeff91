"""Trains the new last layer of a pretrained network first, and then all of it at a lower rate."""

import logging
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from cnnlab.blocks.weights import last_layer
from cnnlab.errors import UserError

log = logging.getLogger(__name__)


class Finetune(Callback):
    """Freeze all layers but the last for some epochs, then train them with a fraction of the learning rate.

    The last layer is new and sends wrong gradients at first, which would destroy what the other layers have learned.
    While these are frozen they also keep the running statistics of their batch normalisation and drop nothing out.

    Both groups of parameters are in the optimizer from the first step, so that every schedule, resume and checkpoint
    works as it does without this callback: a frozen parameter has no gradient, and optimizers pass over it.
    Lightning's BackboneFinetuning adds the second group later, where a schedule like OneCycleLR does not know it.

    Args:
        frozen_epochs: epochs in which only the last layer learns; 0 trains all layers from the start.
        rate_factor: by which the learning rate of all other layers is multiplied.

    Raises:
        ValueError: for a negative number of epochs or a negative factor.
    """

    def __init__(self, frozen_epochs: int = 1, rate_factor: float = 0.1) -> None:
        if frozen_epochs < 0:
            raise ValueError(f"frozen_epochs must not be negative, got {frozen_epochs}")
        if rate_factor < 0:
            raise ValueError(f"rate_factor must not be negative, got {rate_factor}")
        self.frozen_epochs, self.rate_factor = frozen_epochs, rate_factor

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse what would not work, and tell what may be a mistake.

        Raises:
            UserError: for several processes, among which gradients of layers that are unfrozen later are not shared.
        """
        if stage == "fit" and trainer.world_size > 1:
            raise UserError("callbacks.finetune works in one process only, give trainer.devices=1")
        if stage == "fit" and getattr(getattr(pl_module, "model", None), "weights", "") is None:
            log.info("note    callbacks=finetune without model.weights: the layers that are frozen first are random")

    def parameter_groups(self, pl_module: LightningModule) -> list[dict[str, Any]]:
        """The optimizer's groups: the last layer first, whose rate is what curves and messages show."""
        frozen = {parameter for layer in _backbone(pl_module) for parameter in layer.parameters(recurse=False)}
        groups: list[list[nn.Parameter]] = [[], []]
        for parameter in pl_module.parameters():
            groups[parameter in frozen].append(parameter)
        return [{"params": groups[0]}, {"params": groups[1], "rate_factor": self.rate_factor}]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Freeze or unfreeze, as this epoch has it: a resumed run comes in anywhere."""
        is_frozen = trainer.current_epoch < self.frozen_epochs
        for layer in _backbone(pl_module):
            layer.training = not is_frozen
            for parameter in layer.parameters(recurse=False):
                parameter.requires_grad = not is_frozen


def _backbone(pl_module: LightningModule) -> list[nn.Module]:
    """All modules of a module's network but the last layer."""
    network = getattr(pl_module, "model", pl_module)
    name = last_layer(network)
    if name is None:
        raise UserError(f"callbacks.finetune: {type(network).__name__} has no last layer with weights")
    of_the_head = set(network.get_submodule(name).modules())
    return [layer for layer in network.modules() if layer not in of_the_head]
