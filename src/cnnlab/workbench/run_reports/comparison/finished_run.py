"""A finished run as a row of numbers and settings, and which runs repeat each other."""

import hashlib
import json
import math
from dataclasses import dataclass, replace
from typing import Any

from cnnlab.direction import direction_in_name
from cnnlab.runs.chosen_names import NAMED_AS_CHOSEN, chosen_names
from cnnlab.runs.commands import short_path
from cnnlab.workbench.notation import ABSENT, shown
from cnnlab.workbench.run_reports.run_table import Run, read_mapping

# Settings in which runs may differ and still repeat each other: where files lie and what is written down; what the
# resolved device, the checksums of the data and the metric's direction stand for; what changes no result.
_NO_CHOICE = (
    *("seed", "mode", "resume", "init_from", "test", "objectives", "logger", "hydra"),
    *("data.fold", "data.root", "data.path", "data.device", "data.allow_subset", "data.eval_batch_size"),
    *("trainer.accelerator", "trainer.precision", "trainer.num_threads", "trainer.default_root_dir"),
    *("callbacks.progress", "callbacks.throughput", "callbacks.step_curves", "callbacks.finite_loss"),
    *("callbacks.preview", "callbacks.confusion_counts", "callbacks.trial_report"),
)
_MOST_NAMED = 5  # runs or keys on one line


@dataclass(frozen=True)
class FinishedRun:
    """A finished run.

    Attributes:
        data: the data set's name, which tells it from others of that name.
        settings: by dotted key, without those that are no choice.
        told: the same settings as one tells them: augmentations by their names where several share a class.
        metrics: content of metrics.json, with the config's seed where it has none.
        fold: of a cross-validation, whose runs repeat each other; None without one.
        when: it was finished, in seconds since 1970.
    """

    run: Run
    data: str
    checksums: str
    model: str
    mode: str
    settings: dict[str, Any]
    told: dict[str, Any]
    metrics: dict[str, Any]
    fold: int | None
    when: float

    @property
    def seed(self) -> str:
        return shown(self.metrics.get("seed"))

    @property
    def repeat(self) -> tuple[int, int, str]:
        """What tells it from the runs that it repeats; in their order."""
        return -1 if self.fold is None else self.fold, len(self.seed), self.seed

    def number(self, name: str) -> float:
        """Of metrics.json; nan where it is missing."""
        value = self.metrics.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return math.nan
        return float(value) if math.isfinite(value) else math.nan


def read(run: Run) -> FinishedRun:
    config = read_mapping(run.folder / ".hydra" / "config.yaml")
    metrics = read_mapping(run.folder / "metrics.json")
    environment = read_mapping(run.folder / "environment.json")
    settings = {key: value for key, value in _flat(config).items() if not _is_no_choice(key) and not _follows(value)}
    name = settings.get("model.name")  # a zoo's network is known by its name, not by the class that wraps the zoo
    data = config.get("data")
    fold = data.get("fold") if isinstance(data, dict) else None
    if not isinstance(fold, int):
        fold = None
        settings.pop("data.num_folds", None)
    configured = settings.pop("data.batch_size", ABSENT)
    settings["batch_size"] = metrics.get("batch_size", configured)
    settings["device"] = ", ".join(str(metrics[key]) for key in ("device", "precision") if metrics.get(key))
    return FinishedRun(
        run=run,
        data=run.data,
        checksums=json.dumps(environment.get("data_checksums"), sort_keys=True),
        model=name if isinstance(name, str) else run.model,
        mode=direction_in_name(run.metric) or ("min" if config.get("mode") == "min" else "max"),
        settings=settings,
        told=settings | _named(run, settings),
        metrics={"seed": config.get("seed"), **metrics},
        fold=fold,
        when=(run.folder / "metrics.json").stat().st_mtime,
    )


def _named(run: Run, settings: dict[str, Any]) -> dict[str, str]:
    names = chosen_names(run.folder)
    keys = {f"{group}._target_": names.get(group) for group in NAMED_AS_CHOSEN}
    return {key: name for key, name in keys.items() if key in settings and isinstance(name, str)}


def why_left_out(run: Run) -> str:
    """Why a run is left out; empty if it is not."""
    if run.state != "finished":
        return run.state
    if run.note:
        return "unreadable"
    is_pruned = read_mapping(run.folder / "trial.json").get("state") == "PRUNED"  # only trials of a search have one
    return "pruned" if is_pruned else ""


def data_told_apart(finished: list[FinishedRun]) -> list[FinishedRun]:
    """Data sets of one name and other content get a part of their checksum into the name."""
    contents: dict[str, set[str]] = {}
    for one in finished:
        contents.setdefault(one.data, set()).add(one.checksums)
    return [
        replace(one, data=f"{one.data} {hashlib.md5(one.checksums.encode(), usedforsecurity=False).hexdigest()[:6]}")
        if len(contents[one.data]) > 1
        else one
        for one in finished
    ]


def identity(one: FinishedRun) -> str:
    """The same for runs that repeat each other."""
    settings = sorted((key, comparable(value)) for key, value in one.settings.items())
    return repr((one.data, one.model, one.run.metric, one.mode, settings))


def comparable(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return repr(float(value) if is_number else value)


def named(left_out: list[Run]) -> str:
    """How many runs are left out for which reason, and which."""
    names: dict[str, list[str]] = {}
    for run in sorted(left_out, key=lambda run: (run.folder.parent, len(run.folder.name), run.folder.name)):
        reason = why_left_out(run)
        name = short_path(run.folder)
        names.setdefault(reason, []).append(f"{name}: {run.note}" if reason == "unreadable" else name)
    return "; ".join(f"{len(runs)} {reason} ({first_few(runs)})" for reason, runs in sorted(names.items()))


def first_few(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves by dotted key."""
    flat: dict[str, Any] = {}
    for name, value in node.items():
        key = f"{prefix}{name}"
        flat |= _flat(value, f"{key}.") if isinstance(value, dict) and value else {key: value}
    return flat


def _follows(value: Any) -> bool:
    """Whether a value is another key's, which is there too."""
    return isinstance(value, str) and value.startswith("${")


def _is_no_choice(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in _NO_CHOICE)
