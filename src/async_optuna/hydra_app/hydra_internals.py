"""Every use of private names of Hydra; tests/async_optuna/test_hydra_internals.py says which one is gone."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from omegaconf import DictConfig

__all__ = ["Callbacks", "apply_values", "get_overrides_dirname", "text_of_element", "what_the_task_left"]


def apply_values(overrides: Sequence[Override], config: DictConfig) -> None:
    """Set the values of overrides in a composed config, as Hydra does after it has chosen the config groups."""
    ConfigLoaderImpl._apply_overrides_to_config(list(overrides), config)


def text_of_element(element: Any) -> str:
    """One choice of a sweep, written as Hydra would write it on the command line of a job."""
    return Override._get_value_element_as_str(element)


def what_the_task_left(result: JobReturn) -> Any:
    """The value that a job returned or the exception that it raised.

    The public property prints a line of its own before it raises the exception.
    """
    return result._return_value
