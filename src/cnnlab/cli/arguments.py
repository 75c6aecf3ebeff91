"""Rewrites the arguments of a command such that Hydra understands them and finds the run that they name."""

import os
from pathlib import Path

from cnnlab.overrides import for_hydra, value_of, with_value
from cnnlab.runs import resuming, run_folder


def is_first_process() -> bool:
    """Return whether this process started the run. Further ones get its rewritten arguments and share its folder."""
    return "LOCAL_RANK" not in os.environ


def arguments_for_hydra(arguments: list[str]) -> list[str]:
    """Rewrite the arguments such that Hydra understands them and works in the folder of a run that is continued.

    Raises:
        UserError: if that run cannot continue, or a new run would use a folder that already holds one.
    """
    overrides = for_hydra(arguments)
    for key in ("run", "resume", "init_from"):
        if value_of(key, overrides) == run_folder.LATEST:
            overrides = with_value(key, str(run_folder.find(run_folder.LATEST)), overrides)
    resume = value_of("resume", overrides)
    is_rewritten = not is_first_process() and value_of("hydra.run.dir", overrides) is not None
    if resume is not None and not is_rewritten:
        overrides = resuming.arguments_for_resume(Path(resume), overrides)
    elif is_first_process():
        run_folder.refuse_used(overrides)
    return overrides
