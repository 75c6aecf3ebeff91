"""Settings that every search of this project has, with or without sweep=…"""

from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write


class SearchDefaults(Callback):
    """Hydra callback that lets a search take its direction from the name of what it watches.

    It only names the function that does so: Hydra turns an error that a callback raises into a warning, while the
    sweeper, which calls the function, refuses a contradiction.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        sweeper = config.hydra.sweeper
        if "complete" in sweeper and sweeper.complete is None:
            with read_write(sweeper):
                sweeper.complete = "cnnlab.direction.complete_search"
