"""Rewrites the arguments of a command such that Hydra understands them and finds the run that they name."""

from pathlib import Path

from cnnlab.errors import UserError
from cnnlab.overrides import for_hydra, is_name, value_of, with_value
from cnnlab.runs import (
    ranks,
    resuming,
    run_folder,
    shipped,  # only: zoo
)


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
    """Rewrite the arguments such that Hydra understands them, with the folders of runs that have a name.

    Raises:
        UserError: if there is no such run, or it cannot be trained on.
    """
    overrides = for_hydra(arguments)
    for key in ("run", "resume", "init_from"):
        run = value_of(key, overrides)
        if run is None:
            continue
        # only: zoo
        if key != "run" and shipped.is_shipped(run):
            raise UserError(
                f"{key} goes on with a stopped run from its last.ckpt, and {run} holds the weights of a finished one "
                "only; a new training starts from them with model.weights=pretrained"
            )
        # end only
        if key == "init_from" and is_name(run) and (ranks.num_launched() or 1) > 1:
            raise UserError(
                f"init_from={run} could mean another run to each process that {ranks.launcher()} has started; name the "
                "folder of the run"
            )
        if is_name(run):
            overrides = with_value(key, str(run_folder.find(run)), overrides)
    return overrides
