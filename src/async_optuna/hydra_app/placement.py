"""Decides in which processes the trials of a search run, and how many cores each gets."""

import multiprocessing
from collections.abc import Sequence

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from async_optuna.executors import Executor, ProcessExecutor
from async_optuna.hydra_app.job import HydraJob, TaskReference
from async_optuna.hydra_app.main_guard import check_main_guard
from async_optuna.inline_executor import InlineExecutor
from async_optuna.output import say
from async_optuna.slots import Slot


def build_executor(job: HydraJob, slots: Sequence[Slot], settings: DictConfig) -> Executor:
    """What runs the trials: processes forked from one that holds the app, or this process where that cannot be."""
    launcher = str(job.config.hydra.launcher["_target_"]).rpartition(".")[2]
    if launcher != "BasicLauncher":
        say(f"note: {launcher} is not used, trials run in processes of this machine")
    if not isinstance(job.task, TaskReference):
        say("note: no other process can import this task, so trials run one by one in this one")
    elif "forkserver" not in multiprocessing.get_all_start_methods():
        say("note: this system cannot fork, so trials run one by one; Linux, macOS or WSL run several at once")
    else:
        check_main_guard(job.task.name)
        preload = ["async_optuna.hydra_app.job", *settings.preload]
        return ProcessExecutor(job, slots, preload, job.bound)
    return InlineExecutor(job)


def threads_override(settings: DictConfig, given: Sequence[Override], slots: Sequence[Slot]) -> list[str]:
    """Each trial's share of the cores, as an override, unless the user has given one."""
    key = settings.threads_key
    names = [*(str(name).lstrip("+") for name in settings.params), *(override.key_or_group for override in given)]
    if not key or key in names:
        return []
    return [f"{key}={slots[0].num_threads}"]
