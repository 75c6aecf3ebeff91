"""trainer=fast: the same training with fewer Python calls a step."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from cnnlab.fast.cuda_graph import GraphedForward
from cnnlab.timing.stopwatch import Stopwatch

log = logging.getLogger(__name__)

_HOOKS = (
    "on_train_batch_start",
    "on_before_backward",
    "on_after_backward",
    "on_before_zero_grad",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
# Where a module takes a part of the step into its own hands, Lightning's loop stays.
_OWN_STEP = ("optimizer_step", "optimizer_zero_grad", "backward", "lr_scheduler_step")
_TRANSFER = ("on_before_batch_transfer", "on_after_batch_transfer")


class FastLoop(_TrainingEpochLoop):
    """Lightning's loop over an epoch's batches with the calls left out that do nothing in this run.

    A step computes what it would compute in Lightning's loop, to the bit: one batch, one optimizer step, every hook
    that a callback or the module has, schedules and counters. What is left out are hooks nobody has, closures, contexts
    and look-ups. Where a run needs more than that, Lightning's own loop runs it and the reason is logged. With
    `cuda_graph` the network's forward and backward are launched as one CUDA graph each, see GraphedForward.
    """

    def __init__(self, trainer: Trainer, cuda_graph: bool = False) -> None:
        loop = trainer.fit_loop.epoch_loop
        super().__init__(trainer, loop.min_steps, loop.max_steps)
        self._wants_graph = cuda_graph
        self._graph: GraphedForward | None = None
        self._step: _Step | None = None
        self._prepared = False

    @property
    def done(self) -> bool:
        if self._step is None or self.restarting or self.max_steps != -1 or self.trainer.should_stop:
            return super().done
        return self._num_ready_batches_reached()

    def on_run_start(self, data_fetcher: Any) -> None:
        super().on_run_start(data_fetcher)
        if not self._prepared:
            self._prepared = True
            if reason := why_not(self.trainer):
                log.info("trainer=fast: Lightning's own loop is used, because %s", reason)
            else:
                self._step = _Step(self)
        if self._step is not None:
            profiler = self.trainer.profiler
            if isinstance(profiler, Stopwatch):
                waiting = profiler.profile(f"[{type(self).__name__}].train_dataloader_next")
                data_fetcher._start_profiler, data_fetcher._stop_profiler = waiting.__enter__, waiting.__exit__

    def advance(self, data_fetcher: Any) -> None:
        if self._step is None or self.restarting:
            super().advance(data_fetcher)
        else:
            batch, _, _ = next(data_fetcher)
            self.batch_progress.is_last_batch = data_fetcher.done
            self._step(batch, self.batch_idx + 1)

    def capture(self, batch: Any) -> None:
        """Make a CUDA graph of the network, if one is wanted and it can be; `batch` is the first, on its device."""
        if not self._wants_graph:
            return
        self._wants_graph = False
        model, device = getattr(self.trainer.lightning_module, "model", None), self.trainer.strategy.root_device
        if device.type != "cuda" or not isinstance(model, nn.Module):
            return
        try:
            with self.trainer.precision_plugin.train_step_context():
                self._graph = GraphedForward(model, batch[0])
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            log.info("trainer=fast: without a CUDA graph, %s cannot be captured: %s", type(model).__name__, reason)

    def teardown(self) -> None:
        if self._graph is not None:
            self._graph.remove()
            self._graph = None
        super().teardown()

    def on_advance_end(self, data_fetcher: Any) -> None:
        trainer = self.trainer
        is_ordinary = self._step is not None and self._step.validates_at_the_end and not trainer.should_stop
        if is_ordinary and not self.batch_progress.is_last_batch and not trainer.received_sigterm:
            self._batches_that_stepped += 1
        else:
            super().on_advance_end(data_fetcher)


def why_not(trainer: Trainer) -> str | None:
    """Say what of a run only Lightning's own loop can do, None if there is nothing."""
    module = trainer.lightning_module
    own = [name for name in _OWN_STEP if is_overridden(name, module)]
    plain = {"32-true", "bf16-mixed"}
    return next(
        (
            reason
            for applies, reason in (
                (not isinstance(trainer.strategy, SingleDeviceStrategy), "the run has several devices"),
                (trainer.accumulate_grad_batches != 1, "gradients are accumulated over several batches"),
                (trainer.precision not in plain, f"precision is {trainer.precision}"),
                (not module.automatic_optimization, f"{type(module).__name__} optimises by itself"),
                (bool(own), f"{type(module).__name__} has its own {', '.join(own)}"),
                (len(trainer.optimizers) != 1, f"there are {len(trainer.optimizers)} optimizers"),
                (any(isinstance(it, LBFGS) for it in trainer.optimizers), "LBFGS evaluates a step several times"),
            )
            if applies
        ),
        None,
    )


class _Step:
    """One training step; what is the same for all steps is looked up once."""

    def __init__(self, loop: FastLoop) -> None:
        trainer: Trainer = loop.trainer
        module = trainer.lightning_module
        self.loop, self.trainer, self.module = loop, trainer, module
        self.optimizer = trainer.optimizers[0]
        self.progress = loop.automatic_optimization.optim_progress.optimizer
        self.context = trainer.precision_plugin.train_step_context
        self.device = trainer.strategy.root_device
        self.hooks = {name: _hooks(trainer, name) for name in _HOOKS}
        self.takes_index = is_param_in_hook_signature(module.training_step, "batch_idx", min_args=2)
        owners = [owner for owner in (module, getattr(trainer, "datamodule", None)) if owner is not None]
        self.changes_batches = any(is_overridden(name, owner) for owner in owners for name in _TRANSFER)
        self.clips = trainer.gradient_clip_val is not None or is_overridden("configure_gradient_clipping", module)
        schedules = trainer.lr_scheduler_configs
        self.schedules = [it for it in schedules if it.interval == "step" and not it.reduce_on_plateau]
        waits = any(it.interval == "step" and it.reduce_on_plateau for it in schedules)
        every_epoch = trainer.val_check_batch == trainer.num_training_batches
        self.validates_at_the_end = every_epoch and not waits and not getattr(trainer, "_val_check_time_interval", None)
        profiler = trainer.profiler  # type: ignore[attr-defined]
        self.seconds = (profiler if isinstance(profiler, Stopwatch) else Stopwatch()).seconds

    def __call__(self, batch: Any, batch_idx: int) -> None:
        loop, module, optimizer, seconds = self.loop, self.module, self.optimizer, self.seconds
        began = perf_counter()
        if not self.is_ready(batch):
            batch = self.trainer.strategy.batch_to_device(batch, dataloader_idx=0)
        seconds["copy"] += perf_counter() - began
        loop.capture(batch)

        loop.batch_progress.increment_ready()
        if batch_idx < 2:  # from the third batch on it would find again what it knows
            self.trainer._logger_connector.on_batch_start(batch)
        loop._results.batch, loop._results.batch_size = batch, None
        self.call("on_train_batch_start", batch, batch_idx)
        loop.batch_progress.increment_started()

        began = perf_counter()
        module._current_fx_name = "training_step"
        with self.context():
            output = module.training_step(batch, batch_idx) if self.takes_index else module.training_step(batch)
        loss: Tensor | None = output if isinstance(output, Tensor) or output is None else output["loss"]
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
        if loop._num_ready_batches_reached():
            loop.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        self.call("on_train_batch_end", outputs, batch, batch_idx)
        module._current_fx_name = None
        loop.batch_progress.increment_completed()
        if loop._results:  # somebody logs in steps
            self.trainer._logger_connector.on_batch_end()
            self.trainer._logger_connector.update_train_step_metrics()

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
            self.module._current_fx_name = name
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
