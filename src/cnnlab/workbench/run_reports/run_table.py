"""Lists run folders with the data, network, scores and state of each run."""

import contextlib
import json
import math
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from cnnlab.errors import UserError, did_you_mean
from cnnlab.runs.locks import is_held
from cnnlab.workbench.notation import aligned, csv_bytes, shown_value

STATES = ("finished", "interrupted", "failed", "running")

_ACCURACY = "val/accuracy"
_NARROWEST_NOTE = 40  # characters
_LOG_TAIL = 65536  # bytes, in which the line of the last epoch is looked for
_OF_LATER_COMMANDS = ("evaluation", "export")  # folders of a run to which evaluate.py and export.py write
_UNITS = {"d": 86400, "h": 3600, "min": 60}  # in seconds
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast as the one in Python


@dataclass(frozen=True)
class Run:
    """The content of a run folder in a row.

    Args:
        folder: as it was found, below one of the folders that were searched.
        state: one of STATES.
        data: name of the data set, or of its class as long as the set was not read.
        model: class of the network.
        metric: what `val` and `test` are, without the split: accuracy where there is one, else what was monitored.
        val, test: of the best epoch.
        epochs: how many are done.
        max_epochs: how many there were to be.
        changed: when a file in the folder last changed, in seconds since 1970.
        size: bytes of all files.
        note: why it failed, or what could not be read.
    """

    folder: Path
    state: str
    data: str
    model: str
    metric: str
    val: float | None
    test: float | None
    epochs: int | None
    max_epochs: int | None
    changed: float
    size: int
    note: str


def find(folders: Iterable[Path]) -> list[Path]:
    """Run folders in and below `folders`; links are not followed.

    Raises:
        UserError: one of the folders does not exist.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            siblings = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
            raise UserError(f"no folder {folder}{did_you_mean(folder.name, siblings)}")
        for root, names, _ in os.walk(folder):
            if Path(root, ".hydra", "config.yaml").is_file():
                found.setdefault(Path(root).resolve(), Path(root))
                names.clear()
    return list(found.values())


def read(folder: Path) -> Run:
    """Read one run folder; what is missing or damaged stays empty and is named in the note."""
    damaged: list[str] = []
    config = read_mapping(folder / ".hydra" / "config.yaml", damaged)
    metrics = read_mapping(folder / "metrics.json", damaged)
    environment = read_mapping(folder / "environment.json", damaged)
    state = state_of(folder)
    failure = _failure(folder) if state == "failed" else ""
    shown = _ACCURACY if _ACCURACY in metrics else _text(config, "monitor") or _ACCURACY
    metric = shown.removeprefix("val/")
    epochs = _number(metrics, "epochs")
    max_epochs = _number(config.get("trainer"), "max_epochs")
    size, changed = _size_and_change(folder)
    return Run(
        folder=folder,
        state=state,
        data=_text(metrics, "dataset") or _text(environment, "dataset") or _class_name(config.get("data")),
        model=_text(metrics, "model") or _class_name(config.get("model")),
        metric=metric,
        val=_number(metrics, shown),
        test=_number(metrics, f"test/{metric}"),
        epochs=int(epochs) if epochs is not None else _logged_epochs(folder),
        max_epochs=int(max_epochs) if max_epochs is not None and max_epochs > 0 else None,
        changed=changed,
        size=size,
        note=failure or (f"cannot read {', '.join(damaged)}" if damaged else ""),
    )


def state_of(folder: Path) -> str:
    """One of STATES, as of now."""
    with contextlib.suppress(OSError):  # a folder that may not be opened
        if is_held(folder):
            return "running"  # whatever an earlier attempt left behind
    if (folder / "metrics.json").is_file():
        return "finished"
    if (folder / "error.txt").is_file() or (folder / "traceback.txt").is_file():
        return "failed"
    return "interrupted"


def by_age(run: Run) -> float:
    """Key that sorts the newest to the end, which is next to the prompt."""
    return run.changed


def by_accuracy(run: Run) -> tuple[float, float]:
    """Key that sorts the most accurate on validation to the end, runs without an accuracy to the beginning."""
    return run.val if run.metric == "accuracy" and run.val is not None else -1.0, run.changed


def runs_table(runs: Sequence[Run], width: int) -> str:
    """The runs as plain text; only the notes, which stand last, are cut to what is left of `width`."""
    parent = os.path.commonpath([run.folder.parent.absolute() for run in runs])
    names = ["run", *(os.path.relpath(run.folder.absolute(), parent) for run in runs)]
    header = ["data", "model", "val", "test", "epochs", "age", "size", "state"]
    lines = _beside(names, aligned([header, *map(_cells, runs)]).splitlines())
    if any(run.note for run in runs):
        left = max(_NARROWEST_NOTE, width - 2 - max(map(len, lines)))
        lines = _beside(lines, ["note", *(_cut(run.note, left) for run in runs)])
    return "\n".join([f"In {os.path.relpath(parent)}:", *lines])


def as_csv(runs: Iterable[Run]) -> bytes:
    """The runs with full numbers: seconds and bytes, and the time of the last change in place of the age."""
    header = ["run", "state", "data", "model", "metric", "val", "test", "epochs", "max_epochs"]
    rows: list[list[Any]] = [[*header, "changed", "size_bytes", "note"]]
    for run in runs:
        numbers = [run.metric, run.val, run.test, run.epochs, run.max_epochs]
        changed = datetime.fromtimestamp(run.changed).isoformat(" ", "seconds")
        rows.append([run.folder, run.state, run.data, run.model, *numbers, changed, run.size, run.note])
    return csv_bytes(rows)


def shown_size(size: int) -> str:
    megabytes = size / 1e6
    return f"{megabytes:,.1f} MB" if megabytes < 100 else f"{megabytes:,.0f} MB"


def shown_age(seconds: float) -> str:
    """In the largest unit of which there are two: 90 s, 3 min, 47 h, 5 d."""
    name = next((name for name, unit in _UNITS.items() if seconds >= 2 * unit), "s")
    return f"{int(seconds // _UNITS.get(name, 1))} {name}"


def _cells(run: Run) -> list[str]:
    epochs = "-" if run.epochs is None else str(run.epochs)
    return [
        run.data,
        run.model,
        _score(run.metric, run.val),
        _score(run.metric, run.test),
        f"{epochs}/{run.max_epochs}" if run.max_epochs else epochs,
        shown_age(max(0.0, time.time() - run.changed)),
        shown_size(run.size),
        run.state,
    ]


def _score(metric: str, value: float | None) -> str:
    if value is None:
        return ""
    if metric == "accuracy":
        return f"{value:.2%}"
    return f"train {value:.2%}" if metric == "train/accuracy" else f"{metric} {shown_value(value)}"


def _beside(left: list[str], right: list[str]) -> list[str]:
    used = max(map(len, left)) + 2
    return [f"{line:<{used}}{rest}".rstrip() for line, rest in zip(left, right, strict=True)]


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _failure(folder: Path) -> str:
    """The line that says what went wrong: the first of error.txt, else the last of traceback.txt."""
    for name, position in (("error.txt", 0), ("traceback.txt", -1)):
        with contextlib.suppress(OSError):
            lines = (folder / name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                return " ".join(lines[position].split())
    return ""


def read_mapping(path: Path, damaged: list[str] | None = None) -> dict[str, Any]:
    """The mapping in a YAML or JSON file, empty if there is none; a file that holds no mapping joins `damaged`."""
    content: Any = None
    try:
        raw = path.read_bytes()
        content = json.loads(raw) if path.suffix == ".json" else yaml.load(raw, Loader=_Loader)
    except FileNotFoundError:
        return {}
    except Exception:  # whatever it is: one damaged file must not hide all other runs
        pass
    if not isinstance(content, dict):
        if damaged is not None:
            damaged.append(path.name)
        return {}
    return content


def _text(content: dict[str, Any], key: str) -> str:
    value = content.get(key)
    return value if isinstance(value, str) else ""


def _number(content: Any, key: str) -> float | None:
    value = content.get(key) if isinstance(content, dict) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if is_number else None


def _class_name(node: Any) -> str:
    return str(node.get("_target_", "")).rpartition(".")[2] if isinstance(node, dict) else ""


def _logged_epochs(folder: Path) -> int | None:
    """The last epoch that the log calls done."""
    with contextlib.suppress(OSError), (folder / "train.log").open("rb") as log:
        log.seek(max(0, os.fstat(log.fileno()).st_size - _LOG_TAIL))
        done = re.findall(rb"\] epoch +(\d+)(?:/\d+)?  ", log.read())
        return int(done[-1]) if done else 0
    return None


def _size_and_change(folder: Path) -> tuple[int, float]:
    """Bytes of all files, and when the training last changed one: an evaluation does not make a run younger."""
    size, changed = 0, 0.0
    later = tuple(os.path.join(folder, name) for name in _OF_LATER_COMMANDS)
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it may vanish while a run works
                status = os.lstat(os.path.join(root, name))
                size += status.st_size
                changed = changed if root.startswith(later) else max(changed, status.st_mtime)
    return size, changed
