"""The commands that repeat a trial, and that train its point in full, as a search itself gives them for its best."""

import re
import shlex
from itertools import takewhile
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial

from cnnlab.workbench.study_reports.sweep_folder import Sweep

_LEFT_OUT = "sweep"  # it would make a search of the command
_FOLD = "data.fold"  # searched over, it tells repeats apart; a full training uses the data's own split


def commands(sweep: Sweep, trial: FrozenTrial) -> dict[str, str]:
    """By kind, `reproduce` and `retrain`; without those that the study does not know enough for."""
    if sweep.results.get("best_trial") == trial.number:
        found = {kind: str(sweep.results.get(kind) or "") for kind in ("reproduce", "retrain")}
    else:
        found = _built(sweep, trial)
    if _FOLD in trial.params:
        words = shlex.split(found.get("retrain", ""))
        found["retrain"] = shlex.join(word for word in words if override_key(word) != _FOLD)
    return {kind: command for kind, command in found.items() if command}


def overrides_in(command: str) -> list[str]:
    """The overrides of a command, without the script and its flags."""
    return [word for word in shlex.split(_of_one_run(command)) if _is_override(word)]


def override_key(override: str) -> str:
    """The key that an override is about."""
    return override.lstrip("+~").partition("=")[0]


def _built(sweep: Sweep, trial: FrozenTrial) -> dict[str, str]:
    given = [str(override) for override in trial.user_attrs.get("overrides", ())]
    given = [override for override in given if override_key(override) != _LEFT_OUT]
    if not given:
        return {}
    settings = _multirun(sweep)
    start = _start(sweep, settings)
    found = {"reproduce": shlex.join([*start, *given])}
    seeds, key = trial.user_attrs.get("repeat_seeds"), OmegaConf.select(settings, "hydra.sweeper.seed_key")
    if seeds and key:
        command = shlex.join([*start, *(override for override in given if override_key(override) != key)])
        found["reproduce"] = f"for seed in {' '.join(map(str, seeds))}; do {command} {key}=$seed; done"
    retrain = [str(one) for one in OmegaConf.select(settings, "hydra.sweeper.retrain", default=None) or ()]
    if retrain:
        replaced = {override_key(override) for override in retrain}
        kept = [override for override in given if override_key(override) not in replaced]
        found["retrain"] = shlex.join([*start, *kept, *retrain])
    return found


def _of_one_run(command: str) -> str:
    """The command inside the loop over the seeds of a trial that has several runs, without the seed."""
    loop = re.fullmatch(r"for seed in [^;]*; do (.*) \S+=\$seed; done", command)
    return loop[1] if loop else command


def _start(sweep: Sweep, settings: Any) -> list[str]:
    """Interpreter, script and flags, as in the search's own command for its best trial if there is one."""
    words = shlex.split(_of_one_run(str(sweep.results.get("reproduce") or "")))
    if words:
        return list(takewhile(lambda word: not _is_override(word), words))
    name = OmegaConf.select(settings, "hydra.job.name", default=None) or "train"
    return ["python", f"{name}.py"]


def _is_override(word: str) -> bool:
    return not word.startswith("-") and ("=" in word or word.startswith("~"))


def _multirun(sweep: Sweep) -> Any:
    """The search's own config; empty where it is gone."""
    try:
        return OmegaConf.load(sweep.folder / "multirun.yaml")
    except Exception:  # no file, or no YAML
        return OmegaConf.create()
