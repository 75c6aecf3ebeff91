"""One training step without the calls that do nothing."""

from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loops.optimization.automatic import ClosureResult
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor
from torch.optim import Optimizer

from cnnlab.speed.lightning_internals import EpochLoop, set_current_hook, validates_by_the_clock
from cnnlab.speed.stopwatch import Stopwatch

_HOOKS = (
    "on_train_batch_start",
    "on_before_backward",
    "on_after_backward",
    "on_before_zero_grad",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
# Lightning's and ours, which move a batch to the device and leave it alone otherwise.
_MOVERS = {"lightning.pytorch.core.hooks.DataHooks", "cnnlab.data.datamodule.DataModule"}


class Step:
    """A training step of `loop` as Lightning's would be; what is the same for all steps is looked up once.

    Args:
        before: called with each batch, on its device, before anything else.
    """

    def __init__(self, loop: EpochLoop, trainer: Trainer, before: Callable[[Any], None]) -> None:
        module = trainer.lightning_module
        self.before = before
        self.loop, self.trainer, self.module = loop, trainer, module
        self.optimizer = trainer.optimizers[0]
        self.progress = loop.automatic_optimization.optim_progress.optimizer
        self.context = trainer.precision_plugin.train_step_context
        self.device = trainer.strategy.root_device
        self.hooks = {name: _hooks(trainer, name) for name in _HOOKS}
        self.takes_index = is_param_in_hook_signature(module.training_step, "batch_idx", min_args=2)
        owners = [owner for owner in (module, getattr(trainer, "datamodule", None)) if owner is not None]
        self.changes_batches = any(map(_changes_batches, owners))
        self.clips = trainer.gradient_clip_val is not None or is_overridden("configure_gradient_clipping", module)
        schedules = trainer.lr_scheduler_configs
        self.schedules = [it for it in schedules if it.interval == "step" and not it.reduce_on_plateau]
        waits = any(it.interval == "step" and it.reduce_on_plateau for it in schedules)
        every_epoch = trainer.val_check_batch == trainer.num_training_batches
        self.validates_at_the_end = every_epoch and not waits and not validates_by_the_clock(trainer)
        profiler = trainer.profiler  # type: ignore[attr-defined]
        self.seconds = (profiler if isinstance(profiler, Stopwatch) else Stopwatch()).seconds

    def __call__(self, batch: Any, batch_idx: int) -> None:
        loop, module, optimizer, seconds = self.loop, self.module, self.optimizer, self.seconds
        began = perf_counter()
        if not self.is_ready(batch):
            batch = self.trainer.strategy.batch_to_device(batch, dataloader_idx=0)
        seconds["copy"] += perf_counter() - began
        self.before(batch)

        loop.batch_progress.increment_ready()
        loop.begin_batch(batch, batch_idx)
        self.call("on_train_batch_start", batch, batch_idx)
        loop.batch_progress.increment_started()

        began = perf_counter()
        set_current_hook(module, "training_step")
        with self.context():
            output = module.training_step(batch, batch_idx) if self.takes_index else module.training_step(batch)
        loss = _loss_of(output)
        self.progress.zero_grad.increment_ready()
        self.call("on_before_zero_grad", optimizer)
        self.progress.zero_grad.increment_started()
        self.zero_grad()
        self.progress.zero_grad.increment_completed()
        outputs: dict[str, Any] = {}
        if loss is not None:
            self.call("on_before_backward", loss)
            loss.backward()  # type: ignore[no-untyped-call]
            self.call("on_after_backward")
            outputs = {**output} if isinstance(output, Mapping) else {}
            outputs["loss"] = loss.detach()

        gradients_ready = perf_counter()
        seconds["forward_backward"] += gradients_ready - began
        self.progress.step.increment_ready()
        self.call("on_before_optimizer_step", optimizer)
        if self.clips:
            value, algorithm = self.trainer.gradient_clip_val, self.trainer.gradient_clip_algorithm
            module.configure_gradient_clipping(optimizer, gradient_clip_val=value, gradient_clip_algorithm=algorithm)
        optimizer.step()
        self.progress.step.increment_completed()
        seconds["optimizer"] += perf_counter() - gradients_ready

        loop.batch_progress.increment_processed()
        for schedule in self.schedules:
            if (batch_idx + 1) % schedule.frequency == 0:
                loop.scheduler_progress.increment_ready()
                schedule.scheduler.step()  # type: ignore[call-arg]  # no ReduceLROnPlateau: those wait
                loop.scheduler_progress.increment_completed()
        if loop.has_all_batches:
            loop.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        self.call("on_train_batch_end", outputs, batch, batch_idx)
        set_current_hook(module, None)
        loop.batch_progress.increment_completed()
        if loop.has_logged_values:
            loop.hand_on_logged_values()

    def is_ready(self, batch: Any) -> bool:
        """Whether the batch lies on the device as it is to be: then nothing needs to move it."""
        return (
            not self.changes_batches
            and isinstance(batch, tuple | list)
            and all(isinstance(tensor, Tensor) and tensor.device == self.device for tensor in batch)
        )

    def zero_grad(self) -> None:
        """What torch's zero_grad does, without its entry in a profile: that alone costs as much as a small layer."""
        if type(self.optimizer).zero_grad is not Optimizer.zero_grad:
            self.optimizer.zero_grad()
            return
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def call(self, name: str, *arguments: Any) -> None:
        if hooks := self.hooks[name]:
            set_current_hook(self.module, name)
            for hook in hooks:
                hook(*arguments)


def _hooks(trainer: Trainer, name: str) -> list[Callable[..., Any]]:
    """The hooks of that name that callbacks and the module have, in Lightning's order."""
    found: list[Callable[..., Any]] = []
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        hook = getattr(callback, name)
        if hook is not None and getattr(hook, "__func__", hook) is not getattr(Callback, name):
            found.append(partial(hook, trainer, trainer.lightning_module))
    if is_overridden(name, trainer.lightning_module):
        found.append(getattr(trainer.lightning_module, name))
    return found


def _loss_of(output: Any) -> Tensor | None:
    """The loss in what training_step returns; None is a step that is left out. Lightning says what else is wrong."""
    if isinstance(output, Tensor) or output is None:
        return output
    if isinstance(output, Mapping) and isinstance(output.get("loss"), Tensor):
        loss: Tensor = output["loss"]
        return loss
    return ClosureResult.from_training_step_output(output).closure_loss


def _changes_batches(owner: Any) -> bool:
    """Whether a module or data module does more to a batch than moving it."""
    method = type(owner).transfer_batch_to_device
    moved_by = f"{method.__module__}.{method.__qualname__.rpartition('.')[0]}"
    return moved_by not in _MOVERS or is_overridden("on_after_batch_transfer", owner)
