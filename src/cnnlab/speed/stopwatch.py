"""Where the time of training goes, measured from inside Lightning's loop."""

from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any

from lightning.pytorch.profilers import PassThroughProfiler

# What Lightning calls the stages of a step, behind the name of the class they run in.
_STAGES = {
    "train_dataloader_next": "data_wait",
    "batch_to_device": "copy",
    "training_step": "forward_backward",
    "backward": "forward_backward",
}
# The optimizer's step calls forward and backward itself; this is the last thing before its own work.
_GRADIENTS_READY = "configure_gradient_clipping"
_NOTHING = nullcontext()


class Stopwatch(PassThroughProfiler):
    """The Trainer's profiler: sums the seconds of four stages and lets everything else pass at no cost.

    Lightning enters a profiler's context about sixty times a step; its own idle one costs a generator each time.
    On an accelerator these are the seconds of launching work, not those in which the device does it.

    Attributes:
        seconds: since the start, of data_wait, copy, forward_backward and optimizer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = dict.fromkeys([*_STAGES.values(), "optimizer"], 0.0)
        self.gradients_ready: float | None = None
        self._contexts: dict[str, AbstractContextManager[Any]] = {}
        self._before_pause: dict[str, float] = {}

    def pause(self) -> None:
        """Count nothing until `go_on`: validation moves batches too."""
        self._before_pause = dict(self.seconds)

    def go_on(self) -> None:
        self.seconds.update(self._before_pause)

    def profile(self, action_name: str) -> Any:
        try:
            return self._contexts[action_name]
        except KeyError:
            return self._contexts.setdefault(action_name, self._context(action_name))

    def start(self, action_name: str) -> None:
        self.profile(action_name).__enter__()

    def stop(self, action_name: str) -> None:
        self.profile(action_name).__exit__(None, None, None)

    def _context(self, action_name: str) -> AbstractContextManager[Any]:
        owner, _, action = action_name.rpartition(".")
        if owner.startswith("[LightningModule]"):
            if action == "optimizer_step":
                return _Optimizer(self)
            return _GradientsReady(self) if action == _GRADIENTS_READY else _NOTHING
        return _Stage(self.seconds, _STAGES[action]) if action in _STAGES else _NOTHING


class _Stage(AbstractContextManager[None]):
    def __init__(self, seconds: dict[str, float], stage: str) -> None:
        self.seconds, self.stage = seconds, stage
        self.began = 0.0

    def __enter__(self) -> None:
        self.began = perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds[self.stage] += perf_counter() - self.began


class _GradientsReady(AbstractContextManager[None]):
    def __init__(self, stopwatch: Stopwatch) -> None:
        self.stopwatch = stopwatch

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self.stopwatch.gradients_ready = perf_counter()


class _Optimizer(AbstractContextManager[None]):
    def __init__(self, stopwatch: Stopwatch) -> None:
        self.stopwatch = stopwatch

    def __enter__(self) -> None:
        self.stopwatch.gradients_ready = None

    def __exit__(self, *error: object) -> None:
        if self.stopwatch.gradients_ready is not None:
            self.stopwatch.seconds["optimizer"] += perf_counter() - self.stopwatch.gradients_ready
