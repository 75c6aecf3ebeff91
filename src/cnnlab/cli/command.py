"""Turns a task into a command line that Hydra configures, with errors of one line and a clean end at a signal."""

import functools
import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from cnnlab.cli import console, followers, grid
from cnnlab.cli.config_errors import in_one_line, refuse_foreign_keys, refuse_misplaced_header, refuse_unknown_flags
from cnnlab.cli.help import help_text, is_wanted
from cnnlab.cli.jobs import Jobs
from cnnlab.cli.lazy_help import lazy_help_allowed
from cnnlab.cli.process_state import changed_environment
from cnnlab.cli.signals import signals_raise
from cnnlab.colours import coloured
from cnnlab.errors import Interrupted
from cnnlab.runs import resuming, run_folder
from cnnlab.speed.threads import wait_briefly

Task = Callable[[DictConfig], Any]

_BEFORE_JOBS = ("-m", "--multirun")  # the flags of Hydra's that do not only ask for an answer


def command(config_name: str) -> Callable[[Task], "Command"]:
    """Turn a task into a command, `python <script>.py key=value …`, that conf/<config_name>.yaml configures."""
    return functools.partial(Command, config_name=config_name)


class Command:
    """A task that is called from the command line.

    The folder conf lies beside the script or, for scripts in a folder of their own, beside that folder. The task
    itself stays reachable as `__wrapped__`.
    """

    def __init__(self, task: Task, config_name: str) -> None:
        functools.update_wrapper(self, task)
        self.task, self.config_name = task, config_name
        self.arguments: list[str] = []
        self.is_follower = False  # a process of a run whose first process is another one
        folders = Path(task.__code__.co_filename).resolve().parents
        conf_dirs = [folder / "conf" for folder in folders[:2]]
        self.conf_dir = next((conf for conf in conf_dirs if (conf / f"{config_name}.yaml").is_file()), conf_dirs[0])

    def __call__(self) -> None:
        """Do what the command line says, and exit the process if anything goes wrong.

        Exit status: 1 after an error, which is printed in one line; 128 + the signal's number after a signal.
        HYDRA_FULL_ERROR=1 shows the stack trace instead of the line.
        """
        wants_trace = os.environ.get("HYDRA_FULL_ERROR") == "1"
        with console.forgiving() as announcement:
            if not any(argument.startswith("-") and argument not in _BEFORE_JOBS for argument in sys.argv[1:]):
                announcement.show("PyTorch")  # already while Hydra composes the config
            try:
                self.start(sys.argv)
            except (Interrupted, KeyboardInterrupt) as stop:
                stop = stop if isinstance(stop, Interrupted) else Interrupted(signal.SIGINT)
                with suppress(OSError):  # the terminal may be what was closed
                    self._tell(stop, str(stop))
                sys.exit(128 + stop.signum)
            except Exception as error:
                if wants_trace or isinstance(error, BrokenPipeError):
                    raise
                self._tell(error, f"{coloured('error:', 'red')} {self.in_one_line(error)}")
                sys.exit(1)

    def start(self, argv: list[str]) -> Path:
        """Do what the command line says and return the job's folder; of several jobs the last one's.

        Args:
            argv: the script and its arguments.

        Raises:
            UserError: listing all failures of a grid, whose other jobs have run nevertheless.
        """
        wait_briefly()  # before the task loads torch; the processes that a search starts inherit the setting
        self.arguments = arguments = argv[1:]
        refuse_unknown_flags(self.conf_dir, self.config_name, arguments)
        refuse_foreign_keys(self.conf_dir, self.config_name, arguments)
        refuse_misplaced_header(self.conf_dir, arguments)
        if is_wanted(arguments):
            print(help_text(self.conf_dir, self.config_name, arguments))
            return Path()
        jobs = Jobs(self.in_one_line)
        self.is_follower = followers.is_follower(self.conf_dir, self.config_name, arguments)
        followers.refuse_grid(self.conf_dir, self.config_name, arguments)
        # With HYDRA_FULL_ERROR Hydra raises errors, which are reported here; without it, it prints them and exits.
        hydra_main = hydra.main(version_base="1.3", config_path=str(self.conf_dir), config_name=self.config_name)
        raising = changed_environment("HYDRA_FULL_ERROR", "1")
        rewritten = followers.argv_for_hydra(argv, self.is_follower)
        with rewritten, signals_raise(), lazy_help_allowed(), raising, grid.announced(arguments):
            hydra_main(_guarded(self.task, jobs, self.is_follower))()
            if table := grid.grid_table(jobs.of_grid, arguments):
                print(table)
        jobs.raise_failures()
        return jobs.folder

    def _tell(self, error: BaseException, line: str) -> None:
        if not (getattr(error, "is_told", False) or (self.is_follower and followers.another_tells(error))):
            print(line, file=sys.stderr)

    def in_one_line(self, error: Exception) -> str:
        return in_one_line(error, self.conf_dir, self.config_name, self.arguments)


def run_dir() -> Path:
    """Return the folder of the job that Hydra is running."""
    return Path(HydraConfig.get().runtime.output_dir)


def _guarded(task: Task, jobs: Jobs, is_follower: bool) -> Task:
    """Wrap the task for Hydra: saved runs continue with their own config, and failed jobs leave nothing behind."""

    @functools.wraps(task)
    def guarded(config: DictConfig) -> Any:
        settings = HydraConfig.get()
        folder = run_dir()
        jobs.begin(folder, config, settings)
        resume = bool(config.get("resume"))
        try:
            run_folder.refuse_taken()
            with run_folder.in_use(folder, alone=resume) if not is_follower else nullcontext():
                if resume:
                    config = resuming.saved_config(folder, config, list(settings.overrides.task))
                with changed_environment("HYDRA_FULL_ERROR", None), followers.own_processes(config, settings):
                    return task(config)
        except Exception as error:
            if jobs.fail(error, settings):
                return None
            raise
        except BaseException:
            run_folder.discard_if_empty(folder, settings.output_subdir, f"{settings.job.name}.log")
            raise

    return guarded
