"""Rewrites the arguments of a command such that Hydra understands them and finds the run that they name."""

from pathlib import Path

from cnnlab.overrides import for_hydra, value_of, with_value
from cnnlab.runs import resuming, run_folder


def arguments_for_hydra(arguments: list[str]) -> list[str]:
    """Rewrite the arguments such that Hydra understands them and works in the folder of a run that is continued.

    Raises:
        UserError: if that run cannot continue, or a new run would use a folder that already holds one.
    """
    overrides = with_runs_found(arguments)
    resume = value_of("resume", overrides)
    if resume is not None:
        return resuming.arguments_for_resume(Path(resume), overrides)
    run_folder.refuse_used(overrides)
    return overrides


def with_runs_found(arguments: list[str]) -> list[str]:
    """Rewrite the arguments such that Hydra understands them, with the folder of the run that is called latest."""
    overrides = for_hydra(arguments)
    for key in ("run", "resume", "init_from"):
        if value_of(key, overrides) == run_folder.LATEST:
            overrides = with_value(key, str(run_folder.find(run_folder.LATEST)), overrides)
    return overrides
