"""Turns a trial into a recipe: a file for conf/experiment/ that pins what the search chose."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from cnnlab.errors import UserError
from cnnlab.workbench.study_reports.seed_table import repeat_of
from cnnlab.workbench.study_reports.sweep_folder import Sweep
from cnnlab.workbench.study_reports.trial_commands import commands, override_key, overrides_in
from cnnlab.workbench.study_reports.trial_table import outcome

# Settings of the search itself, which are no part of its result.
_OF_THE_SEARCH = ("hydra", "sweep", "test", "resume", "init_from", "trial_metrics", "data.root", "trainer.num_threads")
_NOTHING = object()
_OVERRIDE = re.compile(r"(?P<prefix>~|\+{0,2})(?P<key>[^=]+)(?:=(?P<value>.*))?", re.DOTALL)


@dataclass
class Recipe:
    """The content of the file.

    Args:
        included: other experiments that it builds on.
        choices: of each group, and whether the group is added rather than overridden.
        values: by dotted key.
        retrained: keys of choices and values that are the retraining's, not the trial's.
        not_expressible: overrides that fit in none of these, such as deletions.
    """

    included: list[str] = field(default_factory=list)
    choices: dict[str, tuple[Any, bool]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    retrained: list[str] = field(default_factory=list)
    not_expressible: list[str] = field(default_factory=list)


def experiment_name(sweep: Sweep, trial: FrozenTrial | None = None) -> str:
    """A file name and a word on the command line: <study>_best, or <study>_trial_7."""
    which = "best" if trial is None else f"trial_{trial.number}"
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', sweep.name)}_{which}"


def trial_experiment(sweep: Sweep, trial: FrozenTrial, name: str) -> str:
    """Text of a recipe, to be kept as conf/experiment/<name>.yaml: the trial's config less the settings of the search.

    What the sweep's retraining changes, such as a limit of the training images, is a setting of the search too and
    stands in the recipe as the retraining has it.

    Raises:
        UserError: the trial's .hydra folder is gone, and with it the types of its values.
    """
    recipe = _recipe(sweep, trial)
    command = shlex.join(["python", "train.py", f"experiment={name}", *recipe.not_expressible])
    lines = [
        "# @package _global_",
        f"# Trial {trial.number} of the study {_one_line(sweep.name)}: {outcome(sweep, trial)}.",
        f"# Copied to conf/experiment/{name}.yaml it runs as: {_one_line(command)}",
        *(f"# Cannot be written here, only on the command line: {_one_line(o)}" for o in recipe.not_expressible),
    ]
    if recipe.retrained:
        lines.append(f"# As for retraining, unlike in the search: {', '.join(recipe.retrained)}.")
    if recipe.included or recipe.choices:
        lines += ["defaults:", *(f"  - {included}" for included in recipe.included)]
        lines += [_default(group, *choice) for group, choice in recipe.choices.items()]
    values = OmegaConf.create()
    for key, value in recipe.values.items():
        OmegaConf.update(values, key, value, force_add=True)
    return "\n".join(lines) + "\n" + (OmegaConf.to_yaml(values) if recipe.values else "")


def _recipe(sweep: Sweep, trial: FrozenTrial) -> Recipe:
    hydra_dir = sweep.trial_dir(trial) / ".hydra"
    if not sweep.is_here(trial):
        raise UserError(f"its config is on another machine, in {sweep.place(trial)}")
    config, choices = _plain(hydra_dir / "config.yaml"), _choices(hydra_dir / "hydra.yaml")
    recipe = Recipe()
    repeats = {name.lstrip("+") for name in trial.params if repeat_of(name)}  # searched over, they were not chosen
    given = _overrides(sweep, trial)
    for override in given:
        match = _OVERRIDE.fullmatch(override)
        if match is None or _is_of_the_search(match["key"]) or match["key"] in repeats:
            continue
        prefix, key = match["prefix"], match["key"]
        several = _choices_of_several(key, match["value"] or "", config)
        if prefix != "~" and key == "experiment":
            recipe.included = several or [str(choice) for choice in [choices.get(key)] if choice]
        elif prefix != "~" and (key in choices or several):
            recipe.choices[key] = (several or choices[key], prefix == "+")
        elif prefix != "~" and (value := _at(config, key, otherwise=_NOTHING)) is not _NOTHING:
            recipe.values[key] = value
        else:
            recipe.not_expressible.append(override)
    for override in overrides_in(commands(sweep, trial).get("retrain", "")):
        key, _, value = override.lstrip("+").partition("=")
        if override in given or override.startswith("~") or _is_of_the_search(key) or key in repeats:
            continue
        recipe.retrained.append(key)
        if key in choices:
            recipe.choices[key] = (value, override.startswith("+"))
        else:
            recipe.values[key] = _parsed(value)
    return recipe


def _overrides(sweep: Sweep, trial: FrozenTrial) -> list[str]:
    """The trial's overrides, then those that the sweep's file fixed, which only the reproducing command spells out."""
    given = [str(override) for override in trial.user_attrs.get("overrides", ())]
    if not given:
        path = sweep.trial_dir(trial) / ".hydra/overrides.yaml"
        given = [str(override) for override in _plain(path)] if path.is_file() else []
    keys = {override_key(override) for override in given}
    fixed = overrides_in(commands(sweep, trial).get("reproduce", ""))
    return [*given, *(override for override in fixed if override_key(override) not in keys)]


def _is_of_the_search(key: str) -> bool:
    return any(key == name or key.startswith((f"{name}.", f"{name}/", f"{name}@")) for name in _OF_THE_SEARCH)


def _choices_of_several(key: str, value: str, config: Any) -> list[str]:
    """[tensorboard, csv] of logger=[tensorboard,csv], a group that Hydra does not list; [] for any other override.

    The value at a group's name in the config is never that list.
    """
    if "." in key or not value.startswith("[") or isinstance(_at(config, key, otherwise=None), list):
        return []
    return [choice.strip() for choice in value.strip("[]").split(",")]


def _parsed(text: str) -> Any:
    """The value as YAML reads it, which for plain values and lists of them is as Hydra does."""
    try:
        return OmegaConf.to_container(OmegaConf.create(f"value: {text}"))["value"]  # type: ignore[call-overload,index]
    except Exception:  # YAML's errors have no common class with OmegaConf's
        return text


def _choices(path: Path) -> dict[str, Any]:
    hydra = _plain(path)
    return dict(_at(hydra, "hydra.runtime.choices", otherwise=None) or _at(hydra, "runtime.choices", otherwise={}))


def _plain(path: Path) -> Any:
    """Content of a YAML file as plain containers, interpolations as they stand."""
    try:
        return OmegaConf.to_container(OmegaConf.load(path))
    except OSError as error:
        raise UserError(f"{path} is gone") from error


def _at(config: Any, key: str, otherwise: Any) -> Any:
    for part in key.split("."):
        if not isinstance(config, dict) or part not in config:
            return otherwise
        config = config[part]
    return config


def _default(group: str, choice: Any, added: bool) -> str:
    chosen = "null" if choice is None else f"[{', '.join(map(str, choice))}]" if isinstance(choice, list) else choice
    return f"  - {'' if added else 'override '}/{group}: {chosen}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
