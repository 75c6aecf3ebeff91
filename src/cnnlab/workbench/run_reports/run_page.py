"""One HTML page of a run that needs no other file and no network: its scores, figures, settings and environment."""

import csv
import io
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.commands import short_path
from cnnlab.workbench.html_page import escaped, inlined_figure, style
from cnnlab.workbench.notation import shown_number
from cnnlab.workbench.run_reports import learning_curves
from cnnlab.workbench.run_reports.run_table import read_mapping

_SPLITS = {"test": "Test", "val": "Validation", "train": "Training"}
# Figures in the order of the page, and what they show. Others follow by their names.
_CAPTIONS = {
    "confusion_matrix": "What was taken for what: a row for each true class, a column for each answer.",
    "reliability": "Calibration: a network whose answers are as often right as it is sure lies on the dotted line.",
    "curves": "Each class against all others at every threshold.",
    "most_wrong": "The samples with the largest loss.",
    "suspicious_labels": "Labels worth checking: where the network contradicts the label with confidence.",
    "random_predictions": "Samples drawn at random, with the answers.",
    "through_the_net": "One sample on its way through the network.",
    "filters": "The kernels that were learnt.",
    "robustness": "Accuracy on images that get worse.",
}
_MOST_ROWS = 100  # of a table
_MOST_DOUBTFUL = 25
_PERCENTAGES = ("accuracy", "shifted_accuracy", "expected_calibration_error")


def write(run_dir: Path) -> Path:
    """Write report.html into a run's folder, of all its splits that were evaluated, and return its path."""
    folders = [run_dir / "evaluation" / split for split in _SPLITS]
    evaluated = [folder for folder in folders if (folder / "metrics.json").is_file()]
    numbers, environment = read_mapping(run_dir / "metrics.json"), read_mapping(run_dir / "environment.json")
    parts = {folder.name: _SPLITS[folder.name] for folder in evaluated}
    best = numbers.get("best_epoch")
    curves = learning_curves.draw(learning_curves.read(run_dir), best if isinstance(best, int) else None)
    parts |= {"learning": "Learning curves"} if curves else {}
    parts |= {"repeat": "Repeat it", "settings": "Settings", "environment": "Environment"}
    template = Template(Path(__file__).with_name("run_page.html").read_text(encoding="utf-8"))
    page = template.substitute(
        style=style(),
        title=escaped(run_dir.resolve().name),
        about=escaped(_about(numbers)),
        contents=" ".join(f'<a href="#{name}">{words}</a>' for name, words in parts.items()),
        splits="\n".join(map(_split, evaluated)),
        learning=_learning(curves) if curves else "",
        commands=_commands(run_dir, environment, evaluated),
        settings=_settings(run_dir),
        environment=_table(["", ""], _flat(environment)),
    )
    path = run_dir / "report.html"
    write_atomically(path, page.encode(errors="backslashreplace"))
    return path


def _about(numbers: Mapping[str, Any]) -> str:
    words = [str(numbers.get("model", "")), f"trained on {numbers['dataset']}" if "dataset" in numbers else ""]
    if isinstance(parameters := numbers.get("num_parameters"), int):
        words.append(f"{parameters:,} parameters")
    if numbers.get("best_epoch"):
        words.append(f"best epoch {numbers['best_epoch']} of {numbers.get('epochs')}")
    if isinstance(seconds := numbers.get("train_seconds"), float):
        words.append(f"{seconds:,.1f} s of training on {numbers.get('device')}")
    return ", ".join(word for word in words if word)


def _split(folder: Path) -> str:
    metrics = read_mapping(folder / "metrics.json")
    lines = [f'<h2 id="{folder.name}">{_SPLITS[folder.name]}</h2>', _cards(metrics)]
    figures = {path.stem: path for path in sorted(folder.glob("*.png"))}
    order = sorted(figures, key=lambda name: list(_CAPTIONS).index(name) if name in _CAPTIONS else len(_CAPTIONS))
    lines += [_heading(name) + inlined_figure(figures[name].read_bytes(), _caption(name)) for name in order]
    if rows := _rows(folder / "per_class.csv"):
        lines += ["<h3>Each class</h3>", _table(rows[0], rows[1:], "per_class.csv")]
    if len(rows := _rows(folder / "suspicious_labels.csv")) > 1:
        lines += [
            "<h3>Labels worth checking</h3>",
            "<p>The network is as sure of another class as it usually is of that class's own samples. "
            "It may be right and the label wrong.</p>",
            _table(rows[0], rows[1 : _MOST_DOUBTFUL + 1], "suspicious_labels.csv", len(rows) - 1),
        ]
    return "\n".join(lines)


def _cards(metrics: Mapping[str, Any]) -> str:
    shown = {name.partition("/")[2]: value for name, value in metrics.items() if "/" in name}
    if "num_images" in metrics:
        shown["samples"] = metrics["num_images"]
    cards = []
    for name, value in shown.items():
        if isinstance(value, float | int):
            text = (
                f"{value:.2%}" if name in _PERCENTAGES else f"{value:,}" if name == "samples" else shown_number(value)
            )
            cards.append(f'<div class="card"><b>{text}</b><span>{escaped(name.replace("_", " "))}</span></div>')
    return f'<div class="cards">{"".join(cards)}</div>'


def _learning(curves: bytes) -> str:
    return '<h2 id="learning">Learning curves</h2>' + inlined_figure(curves, "The scores of every epoch.")


def _heading(name: str) -> str:
    return f"<h3>{escaped(name.replace('_', ' ').capitalize())}</h3>"


def _caption(name: str) -> str:
    return _CAPTIONS.get(name, name.replace("_", " "))


def _rows(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8", errors="replace"))))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], file: str = "", number: int | None = None) -> str:
    """A table; of more rows than there is room for the first, and where the others are."""
    rows = [[_shortened(cell) for cell in row] for row in rows]
    shown = rows[:_MOST_ROWS]
    is_number = [all(_is_number(row[column]) for row in shown) for column in range(len(header))]

    def line(cells: Sequence[str], tag: str) -> str:
        kinds = [f'{tag} class="number"' if numeric else tag for numeric in is_number]
        return (
            "<tr>"
            + "".join(f"<{kind}>{escaped(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
            + "</tr>"
        )

    head = line(header, "th") if any(header) else ""
    more = (len(rows) if number is None else number) - len(shown)
    note = f'<p class="soft">{more:,} more in {file}</p>' if more > 0 else ""
    return f'<div class="wide"><table>{head}{"".join(line(row, "td") for row in shown)}</table></div>{note}'


def _shortened(cell: str) -> str:
    """Four decimals are enough to look at."""
    _, point, digits = cell.partition(".")
    return f"{float(cell):.4f}" if point and len(digits) > 4 and _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell or "0")
    except ValueError:
        return False
    return True


def _commands(run_dir: Path, environment: Mapping[str, Any], evaluated: Sequence[Path]) -> str:
    run = shlex.quote(f"run={short_path(run_dir)}")
    commands = [str(environment["command"])] if environment.get("command") else []
    commands += [f"python evaluate.py {run} split={folder.name}" for folder in evaluated]
    return f"<pre>{escaped(chr(10).join(commands))}</pre>"


def _settings(run_dir: Path) -> str:
    config, overrides = (run_dir / ".hydra" / name for name in ("config.yaml", "overrides.yaml"))
    parts = []
    if overrides.is_file() and (given := overrides.read_text(encoding="utf-8").strip()) not in ("", "[]"):
        parts.append(f"<p>What was set for this run; all else are the defaults:</p><pre>{escaped(given)}</pre>")
    if config.is_file():
        parts.append(
            "<details><summary>All settings</summary>"
            f"<pre>{escaped(config.read_text(encoding='utf-8'))}</pre></details>"
        )
    return "".join(parts)


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[list[str]]:
    rows: list[list[str]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        elif name != "command":
            rows.append([f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)])
    return rows
