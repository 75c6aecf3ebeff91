"""Lightning's training step without the calls to hooks that nobody has written; trainer.lean=false switches it off.

Lightning surrounds each hook of each callback with a profiler's context and a note of the hook's name, even where the
hook is empty. With ten callbacks that costs a step more than a small network does.
"""

import logging
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from cnnlab.speed import lightning_internals

log = logging.getLogger(__name__)

# The hooks that Lightning calls for every callback and for the module in every training step.
_IN_A_STEP = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


def apply(trainer: Trainer, module: LightningModule) -> None:
    """Leave out of a training step what does nothing in it; every number and checkpoint stays what it was."""
    if reason := lightning_internals.missing(lightning_internals.LEAN):
        log.info("note    trainer.lean is not used: %s", reason)
        return
    for guest in [module, *trainer.callbacks]:  # type: ignore[attr-defined]
        _skip_empty_hooks(guest)
    _note_hooks_directly(module)


def _skip_empty_hooks(guest: Callback | LightningModule) -> None:
    """Set the hooks to None that a callback or module only inherits: Lightning passes over what is not callable."""
    base = Callback if isinstance(guest, Callback) else LightningModule
    for name in _IN_A_STEP:
        if name not in vars(guest) and getattr(type(guest), name) is getattr(base, name):
            vars(guest)[name] = None  # setattr would ask a frozen dataclass


def _note_hooks_directly(module: LightningModule) -> None:
    """Make the note of the present hook's name cheap, which Lightning sets on the module forty times a step.

    nn.Module's own __setattr__ would look each time whether it is given a parameter. The module's class becomes a
    subclass of the same name, so that messages and profiles do not change. A class that takes note of its subclasses is
    left as it is.
    """
    cls: Any = type(module)
    if hasattr(cls.__init_subclass__, "__func__"):
        return

    def set_attribute(self: LightningModule, name: str, value: Any) -> None:
        if name == lightning_internals.CURRENT_HOOK:
            object.__setattr__(self, name, value)
        else:
            cls.__setattr__(self, name, value)

    names = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
    module.__class__ = type(cls)(cls.__name__, (cls,), {**names, "__setattr__": set_attribute})
