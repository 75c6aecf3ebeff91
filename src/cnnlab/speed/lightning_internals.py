"""The private names of Lightning that this project uses; no other module touches one.

Lightning may rename them in any version. `missing` says which of them the installed version lacks.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from inspect import unwrap
from typing import TYPE_CHECKING, Any

import lightning
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

if TYPE_CHECKING:
    from torch import Tensor

try:
    from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
except ImportError:  # `missing` says so, and then no FastLoop is made
    _TrainingEpochLoop = object  # type: ignore[assignment, misc]

# The attribute in which Lightning notes the hook that a module is in, for the sake of `log`.
CURRENT_HOOK = "_current_fx_name"

# Where a name lives: module, class, and the class's attributes; a part of the project needs all in its table.
Names = Mapping[tuple[str, str], Iterable[str]]
FAST_LOOP: Names = {
    ("lightning.pytorch", "LightningModule"): [CURRENT_HOOK],
    ("lightning.pytorch.loops.training_epoch_loop", "_TrainingEpochLoop"): [
        "_num_ready_batches_reached",
        "_batches_that_stepped",
        "_results",
    ],
    ("lightning.pytorch.loops.fetchers", "_DataFetcher"): ["_start_profiler", "_stop_profiler"],
    ("lightning.pytorch", "Trainer"): ["_logger_connector"],
    ("lightning.pytorch.trainer.connectors.logger_connector.logger_connector", "_LoggerConnector"): [
        "_first_loop_iter",
        "on_batch_start",
        "on_batch_end",
        "update_train_step_metrics",
    ],
}
EVERY_RUN: Names = {
    ("lightning.pytorch.callbacks", "ModelCheckpoint"): [
        "_save_last_checkpoint",
        "_save_topk_checkpoint",
        "_monitor_candidates",
    ],
    ("lightning.pytorch.callbacks", "EarlyStopping"): ["_check_on_train_epoch_end"],
    ("lightning.pytorch.loops.fit_loop", "_FitLoop"): ["_restarting"],
    ("lightning.pytorch.strategies.launchers", "_MultiProcessingLauncher"): [],
    ("lightning.pytorch.strategies", "Strategy"): ["_launcher"],
    ("lightning.pytorch", "Trainer"): ["_signal_connector"],
    ("lightning.pytorch.trainer.connectors.signal_connector", "_SignalConnector"): ["register_signal_handlers"],
}


def missing(names: Names) -> str | None:
    """Return a sentence that names what the installed Lightning lacks of these names, None if it has them all."""
    for (module, owner), attributes in names.items():
        cls = getattr(import_module(module), owner, None)
        if cls is None:
            return f"Lightning {lightning.__version__} has no {owner}"
        # An attribute of the class, or one that a constructor of it sets.
        constructors = [
            vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base) and base is not object
        ]
        set_there = {name for constructor in constructors for name in unwrap(constructor).__code__.co_names}
        for attribute in attributes:
            if not hasattr(cls, attribute) and attribute not in set_there:
                return f"Lightning {lightning.__version__} has no {owner}.{attribute}"
    return None


class EpochLoop(_TrainingEpochLoop):
    """Lightning's loop over an epoch's batches, with public names for what a subclass here needs of it."""

    @property
    def has_all_batches(self) -> bool:
        return self._num_ready_batches_reached()

    @property
    def has_logged_values(self) -> bool:
        """Whether somebody has logged in a step."""
        return bool(self._results)

    def count_step(self) -> None:
        self._batches_that_stepped += 1

    def begin_batch(self, batch: Any) -> None:
        """Tell Lightning which batch the values belong to that are logged from now on."""
        connector = self.trainer._logger_connector
        if connector._first_loop_iter is not False:  # from the third batch on it would find again what it knows
            connector.on_batch_start(batch)
        self._results.batch, self._results.batch_size = batch, None

    def hand_on_logged_values(self) -> None:
        self.trainer._logger_connector.on_batch_end()
        self.trainer._logger_connector.update_train_step_metrics()


def set_current_hook(module: LightningModule, name: str | None) -> None:
    vars(module)[CURRENT_HOOK] = name  # nn.Module's __setattr__ would look whether it is given a parameter


def time_fetching(fetcher: Any, context: Any) -> None:
    """Measure a fetcher's waits for the next batch with this context alone."""
    fetcher._start_profiler, fetcher._stop_profiler = context.__enter__, context.__exit__


def starts_processes_from_python(trainer: Trainer) -> bool:
    """Whether the strategy runs the training in processes that share nothing of the trainer with this one."""
    from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher

    return isinstance(trainer.strategy.launcher, _MultiProcessingLauncher)


def set_launcher(trainer: Trainer, launcher: Any) -> None:
    """Let this object start the further processes of the trainer's run, see Lightning's _Launcher for its methods."""
    trainer.strategy._launcher = launcher


def leave_signals_alone(trainer: Trainer) -> None:
    """Leave it to the program what a signal does.

    Lightning would broadcast to the run's other processes inside of the handler of SIGTERM, and wait for ever if the
    signal comes while this process is between the beginning and the end of another such exchange.
    """
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]


def validates_by_the_clock(trainer: Trainer) -> bool:
    """Whether val_check_interval was given as a time, which only newer versions of Lightning take."""
    return bool(getattr(trainer, "_val_check_time_interval", None))


def begin_an_epoch(trainer: Trainer) -> None:
    """Let a resumed run go on with a new epoch: every last.ckpt is from an epoch's end, even of one cut by max_steps.

    Lightning knows that, but not of runs counted in steps: it would end that epoch twice or train its rest without its
    beginning.
    """
    fit_loop = trainer.fit_loop
    fit_loop.epoch_loop.restarting = False
    fit_loop._restarting = False  # the public setter makes it True again; plateau schedules would pass over an epoch
    fit_loop.reset_restart_stage()
    fit_loop.epoch_progress.increment_completed()


def logged_values(callback: ModelCheckpoint, trainer: Trainer) -> "dict[str, Tensor]":
    """Return all numbers by which this checkpoint may choose, with epoch and step."""
    return callback._monitor_candidates(trainer)


def save_last(callback: ModelCheckpoint, trainer: Trainer) -> None:
    callback._save_last_checkpoint(trainer, callback._monitor_candidates(trainer))


def save_best(callback: ModelCheckpoint, trainer: Trainer) -> None:
    callback._save_topk_checkpoint(trainer, callback._monitor_candidates(trainer))


def check_after_validation(callback: EarlyStopping, otherwise_at_the_end_of_an_epoch: bool) -> None:
    """Decide when an early stopping that was not told so looks at its number."""
    if callback._check_on_train_epoch_end is None:
        callback._check_on_train_epoch_end = otherwise_at_the_end_of_an_epoch
