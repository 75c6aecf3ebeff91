"""Lightning's hooks in a step that nobody uses, at no cost."""

from collections.abc import Iterable

from lightning.pytorch import Callback, LightningModule

# Those that Lightning calls for every callback and for the module in every training step.
_IN_A_STEP = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


def skip_empty_hooks(guests: Iterable[Callback | LightningModule]) -> None:
    """Take away the hooks that a callback or module only inherits: Lightning passes over what is not callable.

    Entering the context around an empty hook costs more than the hook, and seven callbacks have six of them a step.
    """
    for guest in guests:
        base = Callback if isinstance(guest, Callback) else LightningModule
        for name in _IN_A_STEP:
            if name not in vars(guest) and getattr(type(guest), name) is getattr(base, name):
                setattr(guest, name, None)
