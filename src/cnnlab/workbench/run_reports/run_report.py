"""Reports precision, recall and confusions of each class, from the confusion counts in a run's folder."""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd

from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.commands import short_path
from cnnlab.runs.json_files import noun_of
from cnnlab.workbench.notation import aligned, markdown, shown_value
from cnnlab.workbench.run_reports.run_table import read_mapping, state_of

_COUNTS = "confusion_counts.csv"
_MOST_PRINTED = 30  # classes
_SCORES = ("precision", "recall", "F1")
_MEANING = (
    "Precision is the share of right answers among all {noun} taken for the class.\n"
    "Recall is the share of the class's {noun} that were found. F1 is their\n"
    "harmonic mean. A share of nothing counts as 0. A class with neither {noun}\n"
    "nor answers has empty cells, and is left out of the means."
)
_UNTESTED = {
    "running": "it is still running, and is tested after training",
    "interrupted": "it was stopped before its test; continue it with python train.py resume={folder}",
    "failed": "it failed before its test; its train.log says why",
    "finished": "it was trained without a test; python evaluate.py run={folder} makes up for it",
    "tested": "its test counted no classes, as that of values does; its numbers are in metrics.json",
}


def write(run_dir: Path, top: int = 10, figures: bool = True) -> str:
    """Write report.md and confusion_matrix.png to evaluation/<split>/ for each split that was evaluated.

    Args:
        run_dir: the run folder.
        top: how many pairs of classes that were taken for each other to list.
        figures: also draw.

    Returns:
        The text to print: accuracy, scores of the classes, most confused pairs, files.

    Raises:
        UserError: the run was not tested, or its counts cannot be read.
    """
    splits = sorted(path.parent for path in run_dir.glob(f"evaluation/*/{_COUNTS}"))
    if not splits:
        state = "tested" if _was_tested(run_dir) else state_of(run_dir)
        why = _UNTESTED[state].format(folder=shlex.quote(short_path(run_dir)))
        raise UserError(f"no evaluation/<split>/{_COUNTS} in {short_path(run_dir)}: {why}")
    return "\n\n".join(
        "\n  ".join([f"{text}\n\nWritten", *map(short_path, paths)])
        for text, paths in (write_split(run_dir, folder, top, figures) for folder in splits)
    )


def write_split(run_dir: Path, folder: Path, top: int = 10, figures: bool = True) -> tuple[str, list[Path]]:
    """Write the files of one split to its folder below the run's; return what to print and the files. See `write`."""
    counts = read_counts(folder / _COUNTS)
    run, split, noun = shown_name(run_dir), folder.name, noun_of(run_dir)
    accuracy, scores, pairs = _accuracy(counts, noun), per_class(counts), confused_pairs(counts)
    rows = [["class", noun, *_SCORES]]
    for name, (number, *values) in zip(scores.index, scores.to_numpy(), strict=True):
        rows.append([name, f"{number:,.0f}", *map(shown_value, values)])
    means = "mean of the classes: " + ", ".join(f"{name} {shown_value(scores[name].mean())}" for name in _SCORES)
    confused, meaning = _confused(pairs, top, noun), _MEANING.format(noun=noun)
    text = f"# {run}, {split}\n\n{accuracy}\n\n{markdown(rows)}\n{means}\n\n{meaning}\n\n"
    text += "## Most confused\n\n" + "".join(f"- {line}\n" for line in confused)
    files = {"report.md": text.encode()}
    if figures:
        from cnnlab.workbench.run_reports.confusion_matrix import draw  # matplotlib takes its time

        files["confusion_matrix.png"] = draw(counts.to_numpy(), list(counts.index), f"{run}\n{split}: {accuracy}", noun)
    for name, content in files.items():
        write_atomically(folder / name, content)
    shown, which = rows, ""
    if len(scores) > _MOST_PRINTED:
        worst = np.argsort(scores["F1"].to_numpy(), kind="stable")[:_MOST_PRINTED]
        shown = [rows[0], *(rows[number + 1] for number in worst)]
        which = f"\nthe {_MOST_PRINTED} of {len(scores)} classes with the lowest F1; report.md has all"
    parts = [
        f"{short_path(run_dir)}, {split}: {accuracy}",
        f"{aligned(shown)}{which}\n{means}",
        meaning,
        "\n  ".join(["Most confused", *confused]),
    ]
    return "\n\n".join(parts), [folder / name for name in files]


def shown_name(run_dir: Path) -> str:
    """The run folder with its parent, without which the numbered runs of a grid say nothing."""
    return "/".join(run_dir.resolve().parts[-2:])


def _was_tested(run_dir: Path) -> bool:
    """Whether there are numbers of a test, in the run's own file or in that of a later evaluation."""
    files = (run_dir / "metrics.json", *run_dir.glob("evaluation/*/metrics.json"))
    names = [name for path in files for name in read_mapping(path)]
    return any(name.startswith("test/") for name in names)


def read_counts(path: Path) -> pd.DataFrame:
    """How many samples of the row's class were taken for the column's.

    Raises:
        UserError: the file holds something else.
    """
    try:
        # as text: pandas would rename classes of the same name, and read a class NA as missing
        cells = pd.read_csv(path, header=None, dtype=str, keep_default_na=False).to_numpy()
        names = [str(name) for name in cells[0, 1:]]
        counts = pd.DataFrame(cells[1:, 1:].astype(np.int64), index=names, columns=names)
        is_whole = list(cells[1:, 0]) == names and (counts.to_numpy() >= 0).all()
    except (ValueError, OSError):
        is_whole = False
    if not is_whole:
        raise UserError(
            f"{short_path(path)} is not as a test leaves it: expected the same classes as rows and columns, and in"
            " each cell a number of samples; python evaluate.py makes a new one"
        )
    return counts


def per_class(counts: pd.DataFrame) -> pd.DataFrame:
    """Images, precision, recall and F1, indexed by class.

    As scikit-learn has them with zero_division=0: a ratio with nothing to divide by is 0, and a class with neither
    images nor answers is no class of this split: its three are nan, which pandas leaves out of a mean.
    """
    cells = counts.to_numpy()
    hits, true, predicted = cells.diagonal(), cells.sum(axis=1), cells.sum(axis=0)
    ratios = {"precision": (hits, predicted), "recall": (hits, true), "F1": (2 * hits, true + predicted)}
    is_there = true + predicted > 0
    scores = {name: np.where(is_there, part / np.maximum(of, 1), np.nan) for name, (part, of) in ratios.items()}
    return pd.DataFrame({"images": true, **scores}, index=counts.index)


def confused_pairs(counts: pd.DataFrame) -> pd.DataFrame:
    """Columns true, predicted, times and share of the true class; most frequent first, of those the largest share."""
    cells = counts.to_numpy()
    rows, columns = np.nonzero(cells * (1 - np.eye(len(cells), dtype=np.int64)))
    times, names = cells[rows, columns], counts.index.to_numpy()
    pairs = pd.DataFrame(
        {
            "true": names[rows],
            "predicted": names[columns],
            "times": times,
            "images": cells.sum(axis=1)[rows],
            "share": times / cells.sum(axis=1)[rows],
        }
    )
    return pairs.sort_values(["times", "share"], ascending=False, kind="stable", ignore_index=True)


def _accuracy(counts: pd.DataFrame, noun: str) -> str:
    total, hits = int(counts.to_numpy().sum()), int(counts.to_numpy().diagonal().sum())
    return f"{hits / total:.2%} of {total:,} {noun} right" if total else f"no {noun}"


def _confused(pairs: pd.DataFrame, top: int, noun: str) -> list[str]:
    lines = [
        f"{pair['true']} taken for {pair['predicted']}: {pair['times']:,} {'time' if pair['times'] == 1 else 'times'}, "
        f"{pair['share']:.2%} of all {pair['images']:,} {noun} of {pair['true']}"
        for pair in pairs.head(top).to_dict("records")
    ]
    if len(pairs) > top:
        lines.append(f"{top} of {len(pairs):,} pairs; {_COUNTS} holds all")
    return lines or [f"no {noun[:-1]} was taken for another class"]
