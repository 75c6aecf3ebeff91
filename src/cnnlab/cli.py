"""Commands: Hydra around a task, with mistakes told in one line and signals that stop a run in order."""

import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from cnnlab import arguments, resuming, run_folder
from cnnlab.config_errors import in_one_line
from cnnlab.errors import Interrupted, UserError
from cnnlab.signals import signals_raise

Task = Callable[[DictConfig], Any]


def command(config_name: str) -> Callable[[Task], Callable[[], None]]:
    """Make a command of a task: `python <script>.py key=value …`, configured by conf/<config_name>.yaml beside it.

    Exit status: 0, or 1 after a failure told in one line, or 128 + the signal's number. HYDRA_FULL_ERROR=1 shows the
    stack trace instead of the line. The task itself stays reachable as `__wrapped__`.
    """

    def decorate(task: Task) -> Callable[[], None]:
        conf_dir = Path(task.__code__.co_filename).resolve().parent / "conf"

        @functools.wraps(task)
        def run() -> None:
            wants_trace = os.environ.get("HYDRA_FULL_ERROR") == "1"
            failures: list[Exception] = []
            hydra_main = hydra.main(version_base="1.3", config_path=str(conf_dir), config_name=config_name)
            try:
                with signals_raise(), _arguments_rewritten(), _environment("HYDRA_FULL_ERROR", "1"):
                    hydra_main(_guarded(task, failures))()
                if failures:
                    raise failures[0]
            except (Interrupted, KeyboardInterrupt) as stop:
                stop = stop if isinstance(stop, Interrupted) else Interrupted(signal.SIGINT)
                print(stop, file=sys.stderr)
                sys.exit(128 + stop.signum)
            except Exception as error:
                if wants_trace:
                    raise
                print(f"error: {in_one_line(error, conf_dir, config_name, sys.argv[1:])}", file=sys.stderr)
                sys.exit(1)

        return run

    return decorate


def run_dir() -> Path:
    """The folder of the job that Hydra is running."""
    return Path(HydraConfig.get().runtime.output_dir)


def _guarded(task: Task, failures: list[Exception]) -> Task:
    """The task as Hydra sees it: continues saved runs, tidies up after failures, keeps a single run's for `command`."""

    @functools.wraps(task)
    def guarded(config: DictConfig) -> Any:
        settings = HydraConfig.get()
        try:
            if config.get("resume"):
                config = resuming.saved_config(run_dir(), config, list(settings.overrides.task))
            with _environment("HYDRA_FULL_ERROR", None):
                return task(config)
        except Exception as error:
            if isinstance(error, UserError):
                run_folder.discard_if_empty(run_dir(), settings.output_subdir, f"{settings.job.name}.log")
            else:
                (run_dir() / "traceback.txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            if settings.mode == RunMode.RUN:
                failures.append(error)  # Hydra would print a second line
                return None
            raise
        except BaseException:
            run_folder.discard_if_empty(run_dir(), settings.output_subdir, f"{settings.job.name}.log")
            raise

    return guarded


@contextmanager
def _arguments_rewritten() -> Iterator[None]:
    given = sys.argv
    overrides = arguments.for_hydra(given[1:])
    resume = arguments.value_of("resume", overrides)
    if resume is not None:
        overrides = resuming.arguments_for_resume(Path(resume), overrides)
    elif "LOCAL_RANK" not in os.environ:  # a second process of the same run is told to share its folder
        run_folder.refuse_used(overrides)
    sys.argv = [given[0], *overrides]
    try:
        yield
    finally:
        sys.argv = given


@contextmanager
def _environment(name: str, value: str | None) -> Iterator[None]:
    previous = os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if previous is not None:
            os.environ[name] = previous
