"""Settings that every search of this project has, with or without sweep=…"""

from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write

from cnnlab import direction
from cnnlab.errors import UserError
from cnnlab.runs import ranks


class SearchDefaults(Callback):
    """Hydra callback that lets a search take its direction from the name of what it watches.

    It only names the function that does so: Hydra turns an error that a callback raises into a warning, while the
    sweeper, which calls the function, refuses a contradiction.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        sweeper = config.hydra.sweeper
        if "complete" in sweeper and sweeper.complete is None:
            with read_write(sweeper):
                sweeper.complete = "cnnlab.cli.search_defaults.complete_search"


def complete_search(config: DictConfig) -> None:
    """Complete and check the config of a search before it begins (`hydra.sweeper.complete`).

    Raises:
        UserError: if a direction contradicts the name of its metric, or a trial is to have more GPUs than it gets.
    """
    direction.complete_search(config)
    trainer, num_gpus = config.get("trainer") or {}, config.hydra.sweeper.gpus_per_trial
    num_wanted = ranks.num_local(trainer, num_gpus)
    if trainer.get("accelerator") in ("cuda", "gpu") and num_wanted > num_gpus:
        raise UserError(
            f"trainer.devices={trainer.get('devices')} needs hydra.sweeper.gpus_per_trial={num_wanted}, got {num_gpus}"
        )
