"""Rewrites the arguments of a command such that Hydra understands them and finds the run that they name."""

from pathlib import Path

from hydra import compose, initialize_config_dir

from cnnlab.overrides import for_hydra, parsed, quoted, value_of, with_value
from cnnlab.runs import ranks, resuming, run_folder


def arguments_for_hydra(arguments: list[str]) -> list[str]:
    """Rewrite the arguments such that Hydra understands them and works in the folder of a run that is continued.

    Raises:
        UserError: if that run cannot continue, or a new run would use a folder that already holds one.
    """
    overrides = _with_runs_found(arguments)
    resume = value_of("resume", overrides)
    if resume is not None:
        return resuming.arguments_for_resume(Path(resume), overrides)
    run_folder.refuse_used(overrides)
    return overrides


def is_follower(conf_dir: Path, config_name: str, arguments: list[str]) -> bool:
    """Return whether torchrun or srun has started this process as a further one of a run on many devices.

    A run in one process takes no notice of them, and only the config tells what the run is. Where it cannot be
    composed, the first process tells the mistake.
    """
    if ranks.rank() == 0 or {"-m", "--multirun"} & set(arguments):
        return False
    overrides = _with_runs_found(arguments)
    resume = value_of("resume", overrides)
    try:
        if resume is not None:
            config = run_folder.load_config(Path(resume))
            given = parsed(overrides)
            numbers = {
                name: given[f"trainer.{name}"] for name in ("devices", "num_nodes") if f"trainer.{name}" in given
            }
            config.trainer.update({name: int(value) if value.isdecimal() else value for name, value in numbers.items()})
        else:
            with initialize_config_dir(str(conf_dir), version_base="1.3"):
                config = compose(config_name, [word for word in overrides if not word.startswith("-")])
    except Exception:
        return True
    return "trainer" in config and not ranks.is_alone(config.trainer)


def arguments_of_follower(arguments: list[str], folder: Path) -> list[str]:
    """Rewrite the arguments for a process that has no run folder of its own.

    Args:
        folder: an empty one, for what Hydra wants to write.
    """
    overrides = _with_runs_found(arguments)
    place = value_of("resume", overrides) or str(folder)
    others = [word for word in overrides if value_of("hydra.run.dir", [word]) is None]
    return [*others, f"hydra.run.dir={quoted(place)}", "hydra.output_subdir=null"]


def _with_runs_found(arguments: list[str]) -> list[str]:
    overrides = for_hydra(arguments)
    for key in ("run", "resume", "init_from"):
        if value_of(key, overrides) == run_folder.LATEST:
            overrides = with_value(key, str(run_folder.find(run_folder.LATEST)), overrides)
    return overrides
