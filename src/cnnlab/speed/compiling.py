"""trainer.compile: the network's training steps compiled by torch.compile, or a line that says why they are not."""

import logging

import torch
from lightning.pytorch import LightningModule
from torch import nn

from cnnlab.errors import UserError, did_you_mean
from cnnlab.speed.torch_internals import compile_training

log = logging.getLogger(__name__)

DEFAULT_BACKEND = "inductor"


def backend(setting: bool | str) -> str | None:
    """Return the backend that trainer.compile asks for, None for none.

    Raises:
        UserError: if there is none of that name, with the nearest one.
    """
    if isinstance(setting, bool):
        return DEFAULT_BACKEND if setting else None
    known = torch.compiler.list_backends(exclude_tags=())
    if setting not in known:
        choices, nearest = ", ".join(known), did_you_mean(setting, known)
        raise UserError(f"trainer.compile must be true, false or a backend ({choices}), got {setting!r}{nearest}")
    return setting


def apply(module: LightningModule, backend: str) -> None:
    """Compile the module's network in place for training. Validation, test and every checkpoint stay as they were."""
    model = getattr(module, "model", None)
    if not isinstance(model, nn.Module):
        log.info("note    trainer.compile is not used: %s has no network `model`", type(module).__name__)
        return
    log.info("compile  %s with %s; the first step takes longer", type(model).__name__, backend)

    def say_why(error: Exception) -> None:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(lines[:2]) or type(error).__name__  # the first line names the backend, the second the error
        log.info("note    trainer.compile is not used, the compiler says: %s", reason)

    compile_training(model, backend, say_why)
