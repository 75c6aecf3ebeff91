"""Runs one trial as a Hydra job. The process that all trials are forked from imports this module once."""

import copy
import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from hydra import version
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from async_optuna.hydra_app.hydra_internals import Callbacks, apply_values, get_overrides_dirname, what_the_task_left
from async_optuna.hydra_app.stored_config import hide_passwords
from async_optuna.worker import Job

Plugins.instance()  # finds and imports every plugin's config groups: once, instead of in every trial


@dataclass(frozen=True)
class TaskReference:
    """Where another process finds a task: behind so many decorators of a module's function."""

    module: str
    name: str
    depth: int

    @classmethod
    def of(cls, task: Callable[..., Any]) -> "TaskReference | None":
        """Return None for a task that another process could not import."""
        module, name = getattr(task, "__module__", None), getattr(task, "__qualname__", "<locals>")
        found = getattr(sys.modules.get(str(module)), name, None)
        if found is None or (module == "__main__" and not hasattr(sys.modules["__main__"], "__file__")):
            return None
        wanted = list(_unwrapped(task))
        for depth, candidate in enumerate(_unwrapped(found)):
            if any(candidate is function for function in wanted):
                return cls(str(module), name, depth)
        return None

    def find(self) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(importlib.import_module(self.module), self.name)
        return list(_unwrapped(function))[self.depth]


@dataclass(frozen=True)
class HydraJob:
    """Runs a trial's task under Hydra, in whatever process it is called.

    Attributes:
        config: of the search; of the one trial where is_composed.
    """

    task: TaskReference | Callable[..., Any]
    config_loader: ConfigLoader
    config: DictConfig
    version_base: Any
    script: str
    flags: tuple[str, ...] = ()
    is_composed: bool = False
    _of_groups: dict[tuple[str, ...], DictConfig] = field(default_factory=dict, init=False, repr=False, compare=False)
    _is_group: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(self, job: Job) -> Any:
        """Compose the trial's config and run the task in the trial's folder; raise what the task raises."""
        result = self._run(job)
        returned = what_the_task_left(result)
        if result.status == JobStatus.FAILED:
            raise returned
        return returned

    def bound(self, job: Job) -> "HydraJob":
        """The same for this job only, with its config composed here, where most of that was done before."""
        try:
            return replace(self, config=self.compose(list(job.overrides)), is_composed=True)
        except Exception:
            return self  # the job's own process is to fail of it

    def compose(self, overrides: list[str]) -> DictConfig:
        """The config with these overrides.

        Hydra sets values last, in what the choices of config groups give. That part takes 0.1 s and is done once.
        """
        self._set_up()
        parsed = OverridesParser.create(config_loader=self.config_loader).parse_overrides(overrides)
        values = [override for override in parsed if self._sets_a_value(override)]
        groups = tuple(str(override.input_line) for override in parsed if not self._sets_a_value(override))
        if groups not in self._of_groups:
            self._of_groups[groups] = self.config_loader.load_sweep_config(self.config, list(groups))
            hide_passwords(self._of_groups[groups])
        config = copy.deepcopy(self._of_groups[groups])
        OmegaConf.copy_cache(self.config, config)
        apply_values(values, config)
        task = [override for override in parsed if not override.is_hydra_override()]
        config.hydra.overrides.task = [override.input_line for override in task]
        config.hydra.job.override_dirname = get_overrides_dirname(task, **config.hydra.job.config.override_dirname)
        return config

    def _sets_a_value(self, override: Override) -> bool:
        key = override.key_or_group
        if key not in self._is_group:
            given = [str(line) for line in self.config.hydra.overrides.hydra]
            name = self.config.hydra.job.config_name
            # a key with a dot is none of a group's, and to look for it takes long
            options = "." not in key and self.config_loader.get_group_options(key, config_name=name, overrides=given)
            self._is_group[key] = bool(options) or override.is_hydra_override()
        return not self._is_group[key] and override.package is None

    def _run(self, job: Job) -> JobReturn:
        self._set_up()  # here too, for this may be another process than the one that has composed
        config = self.config if self.is_composed else self.compose(list(job.overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = job.number
            config.hydra.sweep.dir, config.hydra.sweep.subdir = str(job.folder.parent), job.folder.name
            config.hydra.run.dir = str(job.folder)  # for further processes of the same trial
        is_own_process = isinstance(self.task, TaskReference)
        task = self.task.find() if isinstance(self.task, TaskReference) else self.task
        if is_own_process:
            # A launcher that starts this command again on another device must start this trial, not the search.
            sys.argv = [self.script, *self.flags, *job.overrides, "hydra.mode=RUN", f"hydra.run.dir='{job.folder}'"]
        return run_job(
            task_function=task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=HydraContext(config_loader=self.config_loader, callbacks=Callbacks(config)),
        )

    def _set_up(self) -> None:
        setup_globals()
        version.VersionBase.instance().setbase(self.version_base)
        JobRuntime.instance().set("name", self.config.hydra.job.name)


def _unwrapped(function: Any) -> Iterator[Callable[..., Any]]:
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)
