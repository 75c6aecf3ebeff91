"""The same training with fewer Python calls a step, wherever a run asks for nothing that only Lightning's loop does."""

import logging
from dataclasses import dataclass
from typing import Any, Literal

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler, StochasticWeightAveraging
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import nn
from torch.optim import LBFGS

from cnnlab.errors import UserError
from cnnlab.speed import lightning_internals
from cnnlab.speed.cuda_graph import GraphedForward
from cnnlab.speed.lightning_internals import EpochLoop
from cnnlab.speed.step import Step
from cnnlab.speed.stopwatch import Stopwatch
from cnnlab.speed.torch_internals import is_compiled

log = logging.getLogger(__name__)

_OWN_LOOP = "note    trainer.fast_loop: Lightning's own loop is used, because %s"
# Where a module takes a part of the step into its own hands, Lightning's loop stays.
_OWN_STEP = (
    "on_before_batch_transfer",
    "on_train_batch_start",
    "optimizer_step",
    "optimizer_zero_grad",
    "backward",
    "lr_scheduler_step",
)
# Callbacks that change accumulation, schedules or the backward pass from an epoch on.
_CHANGE_THE_LOOP = (GradientAccumulationScheduler, StochasticWeightAveraging)


class FastLoop(EpochLoop):
    """Lightning's loop over an epoch's batches with the calls left out that do nothing in this run.

    A step computes what it would compute in Lightning's loop, to the bit: one batch, one optimizer step, every hook
    that a callback or the module has, schedules and counters. What is left out are hooks nobody has, closures, contexts
    and look-ups. Where a run needs more than that, Lightning's own loop runs it and the reason is logged.

    Args:
        cuda_graph: whether the network's forward and backward are launched as one CUDA graph each, see GraphedForward.
        is_asked_for: whether the user has asked for it and so wants to read why it is not used.
    """

    def __init__(self, trainer: Trainer, cuda_graph: bool = False, is_asked_for: bool = True) -> None:
        loop = trainer.fit_loop.epoch_loop
        super().__init__(trainer, loop.min_steps, loop.max_steps)
        self._level = _level(is_asked_for)
        self.cuda_graph = self._wants_graph = cuda_graph
        self._graph: GraphedForward | None = None
        self._step: Step | None = None
        self._prepared = False

    @property
    def is_in_use(self) -> bool:
        """Whether this run's steps are the fast ones."""
        return self._step is not None

    @property
    def done(self) -> bool:
        if self._step is None or self.restarting or self.max_steps != -1 or self.trainer.should_stop:
            return super().done
        return self.has_all_batches

    def on_run_start(self, data_fetcher: Any) -> None:
        super().on_run_start(data_fetcher)
        if not self._prepared:
            self._prepared = True
            if reason := why_not(self.trainer):
                log.log(self._level, _OWN_LOOP, reason)
            else:
                self._step = Step(self, self.trainer, self._capture)
        if self._step is not None:
            profiler = self.trainer.profiler
            if isinstance(profiler, Stopwatch):
                waiting = profiler.profile(f"[{type(self).__name__}].train_dataloader_next")
                lightning_internals.time_fetching(data_fetcher, waiting)

    def advance(self, data_fetcher: Any) -> None:
        if self._step is None or self.restarting:
            super().advance(data_fetcher)
        else:
            batch, _, _ = next(data_fetcher)
            if batch is None:  # a collate_fn found nothing to train on; Lightning warns and counts it
                super().advance(_Fetched(batch, data_fetcher.done))
                return
            self.batch_progress.is_last_batch = data_fetcher.done
            self._step(batch, self.batch_idx + 1)

    def _capture(self, batch: Any) -> None:
        """Make a CUDA graph of the network, if one is wanted and it can be; `batch` is the first, on its device."""
        if not self._wants_graph:
            return
        model, device = getattr(self.trainer.lightning_module, "model", None), self.trainer.strategy.root_device
        if isinstance(model, nn.Module) and not all(parameter.requires_grad for parameter in model.parameters()):
            return  # a graph would go on without the gradients of layers that are frozen now and trained later
        self._wants_graph = False
        if device.type != "cuda":
            log.info("note    trainer.cuda_graph: no graph, because only an NVIDIA GPU has them; the run is as without")
            return
        if not isinstance(model, nn.Module):
            return
        if is_compiled(model):
            log.info("note    trainer.cuda_graph: no graph, because trainer.compile compiles the network")
            return
        try:
            with self.trainer.precision_plugin.train_step_context():
                self._graph = GraphedForward(model, batch[0])
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            log.info("note    trainer.cuda_graph: no graph, %s cannot be captured: %s", type(model).__name__, reason)

    def teardown(self) -> None:
        if self._graph is not None:
            self._graph.remove()
            self._graph = None
        super().teardown()

    def on_advance_end(self, data_fetcher: Any) -> None:
        trainer = self.trainer
        is_ordinary = self._step is not None and self._step.validates_at_the_end and not trainer.should_stop
        if is_ordinary and not self.batch_progress.is_last_batch and not trainer.received_sigterm:
            self.count_step()
        else:
            super().on_advance_end(data_fetcher)


@dataclass
class _Fetched:
    """Hands a batch that was fetched already to Lightning's loop."""

    batch: Any
    done: bool

    def __next__(self) -> tuple[Any, int, int]:
        return self.batch, 0, 0


def wanted(fast_loop: object, cuda_graph: object) -> bool | Literal["auto"]:
    """Return trainer.fast_loop: true, false, or auto, which is for runs that can be had with it.

    Raises:
        UserError: for another value, and for a CUDA graph without this loop.
    """
    if not isinstance(fast_loop, bool) and fast_loop != "auto":
        raise UserError(f"trainer.fast_loop must be auto, true or false, got {fast_loop!r}")
    if cuda_graph and not fast_loop:
        raise UserError("trainer.cuda_graph=true needs trainer.fast_loop=auto or true; trainer=fast sets both")
    return fast_loop if isinstance(fast_loop, bool) else "auto"


def apply(trainer: Trainer, cuda_graph: bool = False, is_asked_for: bool = True) -> None:
    """Let a FastLoop run the training epochs, unless the installed Lightning lacks what it is made of."""
    if reason := lightning_internals.missing(lightning_internals.FAST_LOOP):
        log.log(_level(is_asked_for), _OWN_LOOP, reason)
    else:
        trainer.fit_loop.epoch_loop = FastLoop(trainer, cuda_graph, is_asked_for)


def _level(is_asked_for: bool) -> int:
    return logging.INFO if is_asked_for else logging.DEBUG


def why_not(trainer: Trainer) -> str | None:
    """Say what of a run only Lightning's own loop can do, None if there is nothing."""
    module = trainer.lightning_module
    own = [name for name in _OWN_STEP if is_overridden(name, module)]
    datamodule = getattr(trainer, "datamodule", None)
    prepares = datamodule is not None and is_overridden("on_before_batch_transfer", datamodule)
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    changing = [type(callback).__name__ for callback in callbacks if isinstance(callback, _CHANGE_THE_LOOP)]
    takes_iterator = is_param_in_hook_signature(module.training_step, "dataloader_iter", explicit=True)
    profiler = trainer.profiler  # type: ignore[attr-defined]
    profiles = not isinstance(profiler, PassThroughProfiler)
    plain = {"32-true", "bf16-mixed"}
    # An optimizer from elsewhere may ask for the closure with which Lightning hands it the whole step.
    repeating = [
        type(it).__name__
        for it in trainer.optimizers
        if isinstance(it, LBFGS) or not type(it).step.__module__.startswith("torch.optim.")
    ]
    return next(
        (
            reason
            for applies, reason in (
                (not isinstance(trainer.strategy, SingleDeviceStrategy), "the run has several devices"),
                (trainer.accumulate_grad_batches != 1, "gradients are accumulated over several batches"),
                (bool(changing), f"{', '.join(changing)} changes what a step is on the way"),
                (trainer.precision not in plain, f"precision is {trainer.precision}"),
                (not module.automatic_optimization, f"{type(module).__name__} optimises by itself"),
                (bool(own), f"{type(module).__name__} has its own {', '.join(own)}"),
                (
                    takes_iterator,
                    f"{type(module).__name__}.training_step takes its batches from dataloader_iter itself",
                ),
                (profiles, f"{type(profiler).__name__} looks into every part of it"),
                (prepares, "the data module has its own on_before_batch_transfer"),
                (len(trainer.optimizers) != 1, f"there are {len(trainer.optimizers)} optimizers"),
                (bool(repeating), f"{', '.join(repeating)} may evaluate a step several times"),
            )
            if applies
        ),
        None,
    )
