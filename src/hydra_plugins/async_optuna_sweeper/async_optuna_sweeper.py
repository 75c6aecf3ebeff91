"""The sweeper that Hydra finds and imports at every start; the heavy part is in async_optuna.hydra_app.sweep."""

import signal
import sys
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.async_optuna_sweeper.config import AsyncOptunaSweeperConf  # registers the config groups

__all__ = ["AsyncOptunaSweeper", "AsyncOptunaSweeperConf"]


class AsyncOptunaSweeper(Sweeper):
    """Optuna under --multirun: `hydra/sweeper=async_optuna`; see AsyncOptunaSweeperConf for its settings."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.launcher = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def sweep(self, arguments: list[str]) -> None:
        from async_optuna.output import open_standard_streams, say
        from async_optuna.terminal import tell_what_takes_long

        open_standard_streams()
        tell_what_takes_long("reading the search")  # before the imports, which take a second
        try:
            from async_optuna.hydra_app.sweep import sweep
        except KeyboardInterrupt:
            say("stopped before the search began", to_errors=True)
            sys.exit(128 + signal.SIGINT)

        assert self.config is not None
        assert self.hydra_context is not None
        sweep(self.config, self.hydra_context.config_loader, self.task_function, arguments)
