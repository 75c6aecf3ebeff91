"""The end of a run on the terminal: its scores, what they were before, how it was computed, and what one does next."""

import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from yaml import safe_load

from cnnlab.colours import coloured
from cnnlab.notation import shown_metric, shown_number, without_repetition
from cnnlab.overrides import as_typed, parsed
from cnnlab.runs import json_files
from cnnlab.runs.commands import python, script, short_path, this_script
from cnnlab.runs.earlier_run import change_since

_STAGES = {
    "data_wait": "data wait",
    "copy": "copy",
    "forward_backward": "forward+backward",
    "optimizer": "optimizer",
    "overhead": "logging+callbacks",
    "validation": "validation",
}
_LABEL, _WIDTH, _NO_BREAK = 15, 80, "\xa0"  # characters
_SCORES = ("learned", "test", "val")
# Settings that are worth a second run, and how to change them: the first that the run has is proposed.
_PROPOSALS = {"model.hidden_units": 2.0, "optimizer.lr": 0.3}


def end_table(metrics: dict[str, Any], run_dir: Path, config: DictConfig) -> str:
    """Return the lines at the end of a run.

    A run of a grid or of a search gets neither a comparison with an earlier run nor a proposal: the grid's own table
    and the search's report compare its runs.
    """
    rows = [(split, numbers) for split in ("test", "val") if (numbers := _numbers(metrics, f"{split}/"))]
    if "learnt_after" in metrics:
        rows.insert(0, ("learned", _learned(metrics)))
    is_alone = not is_one_of_many()
    rows += [("change", line) for line in change_since(config, metrics, run_dir)] if is_alone else []
    rows += [
        ("best epoch", _best_epoch(metrics)),
        ("data", str(metrics["dataset"])),
        ("parameters", f"{metrics['num_parameters']:,}"),
        ("training", f"{metrics['train_seconds']:.1f} s, {metrics['images_per_second']:,.0f} {_noun(run_dir)}/s"),
        ("device", f"{metrics['device']}, {metrics['precision']}"),
        *_time_rows(run_dir / "time.json"),
        ("run folder", short_path(run_dir)),
    ]
    lines = [_row(*row) for row in rows]
    if is_alone:
        lines += ["", coloured("What next?", "bold"), *(f"  {command}" for command in _next_commands(config, run_dir))]
    return "\n".join(lines)


def is_one_of_many() -> bool:
    """Return whether this run belongs to a grid or to a search."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def tensorboard_command(logdir: Path) -> str:
    found = shutil.which("tensorboard")
    is_ours = found is not None and Path(found).parent == Path(sys.executable).parent
    program = "tensorboard" if is_ours else f"{python()} -m tensorboard.main"
    return f"{program} --logdir {shlex.quote(short_path(logdir))}"


def _row(label: str, text: str) -> str:
    """Return a line of the table, or several if the text is long. A folder is never broken: it is there to copy."""
    lines = [text] if label == "run folder" else textwrap.wrap(text, _WIDTH - _LABEL, break_on_hyphens=False)
    start = coloured(f"  {label:<{_LABEL - 2}}", "dim")
    if label in _SCORES:
        lines = [coloured(line, "bold") for line in lines]
    return start + f"\n{' ' * _LABEL}".join(lines).replace(_NO_BREAK, " ")


def _numbers(metrics: dict[str, Any], prefix: str) -> str:
    """Return all numbers of a split in one line, accuracy first."""
    values = {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
    values = without_repetition(values)
    accuracy = values.pop("accuracy", None)
    shown = [] if accuracy is None else [f"{shown_metric('accuracy', accuracy)} accuracy"]
    shown += [f"{name} {shown_metric(name, value)}" for name, value in values.items() if value is not None]
    return ", ".join(shown)


def _best_epoch(metrics: dict[str, Any]) -> str:
    if metrics["best_epoch"] is None:
        return f"none of {metrics['epochs']}: no validation; the weights are the last ones"
    return f"{metrics['best_epoch']} of {metrics['epochs']}"


def _learned(metrics: dict[str, Any]) -> str:
    batch = f"the batch of {metrics['batch_size']}" if "batch_size" in metrics else "the batch"
    if metrics["learnt_after"] is not None:
        return f"yes: {batch} is learned by heart after {metrics['learnt_after']} epochs"
    reached = metrics.get("train/accuracy")
    at_most = "" if reached is None else f", {shown_metric('accuracy', reached)} accuracy"
    return f"NO: {batch} is not learned after {metrics['epochs']} epochs{at_most}; check model, labels and optimizer.lr"


def _noun(run_dir: Path) -> str:
    return json_files.noun_of(run_dir)


def _time_rows(path: Path) -> list[tuple[str, str]]:
    """Return each stage's share of the time, the largest first, and the diagnosis."""
    time = json_files.read_json(path)
    if not time:
        return []
    stages = sorted(_STAGES, key=lambda stage: time[stage], reverse=True)
    shares = [f"{_STAGES[stage]} {time[stage]:.0%}" for stage in stages if time[stage] >= 0.005]
    return [("time", ", ".join(share.replace(" ", _NO_BREAK) for share in shares)), ("", time["diagnosis"])]


def _next_commands(config: DictConfig, run_dir: Path) -> list[str]:
    """Return commands that show the curves, evaluate the run, and train once more with one setting changed."""
    commands = [tensorboard_command(run_dir.parent)]
    # only: workbench
    commands.append(script("evaluate.py", [f"run={short_path(run_dir)}"]))
    # end only
    path = run_dir / ".hydra" / "overrides.yaml"
    given = as_typed(safe_load(path.read_text(encoding="utf-8"))) if path.is_file() else []
    if config.monitor.startswith("train/"):  # a first check, such as trainer=overfit: the training comes next
        return [*commands, this_script(_without(given, "trainer", "monitor", "resume", "init_from"))]
    fixed = "model." if config.model.get("weights") else ()  # weights fit a network of their size only
    changed = next((key for key in _PROPOSALS if OmegaConf.select(config, key) and not key.startswith(fixed)), None)
    if changed is not None:
        value = OmegaConf.select(config, changed) * _PROPOSALS[changed]
        kept = _without(given, changed, "resume", "init_from")
        commands.append(this_script([*kept, f"{changed}={shown_number(value)}"]))
    return commands


def _without(overrides: list[str], *keys: str) -> list[str]:
    return [override for override in overrides if not parsed([override]).keys() & set(keys)]
