"""How much better or worse a run is than the last one on the same data, and in which settings the two differ."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from cnnlab.colours import coloured
from cnnlab.direction import direction
from cnnlab.errors import UserError
from cnnlab.notation import shown_change, shown_class, shown_number
from cnnlab.runs.chosen_names import NAMED_AS_CHOSEN, chosen_names
from cnnlab.runs.json_files import read_json
from cnnlab.runs.resuming import as_written, differences, is_default
from cnnlab.runs.run_folder import load_config

# Keys that say where a run computes and what it writes, but not what it learns.
_NO_SETTINGS = (
    *("resume", "init_from", "test", "monitor", "mode", "objectives", "logger"),
    *("callbacks.progress", "callbacks.throughput", "callbacks.waiting", "callbacks.preview", "callbacks.step_curves"),
    *("callbacks.confusion_counts", "callbacks.finite_loss", "callbacks.trial_report"),
    *("trainer.accelerator", "trainer.default_root_dir", "trainer.num_threads", "trainer.profiler"),
    *("trainer.lean", "trainer.fast_loop", "trainer.cuda_graph", "trainer.channels_last"),
    *("data.root", "data.path", "data.device", "data.in_memory", "data.num_workers", "data.eval_batch_size"),
    "data.allow_subset",
)
_MOST_SHOWN = 4
_WEIGHTS = "model.weights"


def change_since(config: DictConfig, metrics: dict[str, Any], run_dir: Path) -> list[str]:
    """Return a line about the change of the monitored score since the last finished run on the same data.

    The score is the one by which runs are judged, on the validation data. The list is empty if there is no such run,
    and for a run that is judged by its training data.

    Args:
        config, metrics: of the run in `run_dir`; earlier runs are looked for beside it.
    """
    monitor = config.monitor
    if not monitor.startswith("val/"):
        return []
    checksums = read_json(run_dir / "environment.json").get("data_checksums")
    for folder in _finished_beside(run_dir):
        try:
            before, environment = read_json(folder / "metrics.json"), read_json(folder / "environment.json")
            data = before.get("dataset"), environment.get("data_checksums")
            if data == (metrics["dataset"], checksums) and None not in (before.get(monitor), metrics.get(monitor)):
                chosen_before, chosen = chosen_names(folder), chosen_names(run_dir)
                changed = list(_changed_settings(load_config(folder), config, chosen_before, chosen))
                return [_line(config, metrics[monitor] - before[monitor], changed, folder.name)]
        except (UserError, ValueError):  # a damaged folder is no reason to end a run with an error
            continue
    return []


def _finished_beside(run_dir: Path) -> list[Path]:
    """Return the other finished runs in the same folder, the last one first."""
    files = [file for file in run_dir.absolute().parent.glob("*/metrics.json") if file.parent != run_dir.absolute()]
    return [file.parent for file in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True)]


def _changed_settings(
    before: DictConfig, now: DictConfig, chosen_before: dict[str, Any], chosen: dict[str, Any]
) -> Iterator[str]:
    """Yield each setting that differs, as in "model.hidden_units 10 → 32"; of another class its name and its weights.

    Args:
        chosen_before, chosen: the names on the command line. Where they do not tell the classes apart, those are named.
            Several augmentations are one class, and other ones if their names differ.
    """
    old, new = as_written(before), as_written(now)
    groups = [group for group, node in new.items() if isinstance(node, dict) and isinstance(old.get(group), dict)]
    others = [group for group in groups if old[group].get("_target_") != new[group].get("_target_")]
    others += [
        group
        for group in NAMED_AS_CHOSEN
        if group in groups and group not in others
        if len({chosen_before.get(group), chosen.get(group), None}) == 3
    ]
    weights = [OmegaConf.select(config, _WEIGHTS) for config in (before, now)]  # of another class too
    if weights[0] != weights[1]:
        yield f"{_WEIGHTS} {_shown(weights[0])} → {_shown(weights[1])}"
    for group in others:
        names = chosen_before.get(group), chosen.get(group)
        if None in names or names[0] == names[1]:
            names = _shown(old[group]), _shown(new[group])
        yield f"{group} {names[0]} → {names[1]}"
    for key, value_before, value in differences(old, new):
        is_setting = not any(key == name or key.startswith(f"{name}.") for name in _NO_SETTINGS)
        # A resumed run has the value itself in place of ${monitor}, which is compared under its own key.
        is_reference = any(isinstance(one, str) and one.startswith("${") for one in (value_before, value))
        is_newer_key = value_before is None and is_default(now, key, value)  # that earlier versions did not have yet
        is_told = key == _WEIGHTS or key.partition(".")[0] in others
        if is_setting and not (is_reference or is_newer_key or is_told):
            yield f"{key} {_shown(value_before)} → {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return shown_class(str(value.get("_target_", "set")))
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return shown_number(value) if isinstance(value, float) else str(value)


def _line(config: DictConfig, change: float, changed: list[str], name: str) -> str:
    what = ", ".join(changed[:_MOST_SHOWN]) + (f" and {len(changed) - _MOST_SHOWN} more" * (len(changed) > _MOST_SHOWN))
    is_better = change * (1 if direction(config.monitor, config.mode) == "max" else -1) > 0
    text = shown_change(config.monitor, change)
    style = "dim" if change == 0 else "green" if is_better else "red"
    return f"{coloured(text, style)}: {what or 'the same settings'} (against {name})"
