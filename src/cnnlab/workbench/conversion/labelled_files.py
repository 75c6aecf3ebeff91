"""Sorts pictures or recordings into a folder for each class, by a table of their labels or by their names."""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from cnnlab.data.files.picture_names import files_below, is_picture
from cnnlab.data.files.wav import is_wav  # only: zoo
from cnnlab.errors import UserError, printable
from cnnlab.workbench.conversion.samples import split_called
from cnnlab.workbench.conversion.tables import label_columns

_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f]')
_MOST_CLASSES = 0.5  # of the files: more would mean that names do not begin with a class


def is_sample(name: str) -> bool:
    """Whether a file is a picture or a recording by its name."""
    is_recording = False
    is_recording = is_wav(name)  # only: zoo
    return is_picture(name) or is_recording


def below(folder: Path) -> list[Path]:
    """All pictures, or all recordings, in a folder and below.

    Raises:
        UserError: if there are none.
    """
    found = sorted(path for path in files_below(folder) if is_sample(path.name))
    if not found:
        raise UserError(f"there are no pictures and no recordings in {folder}")
    return found


def by_table(table: pd.DataFrame, files: Sequence[Path], labels: Sequence[str], source: str) -> dict[Path, str]:
    """The label of each file that a table names, with or without its ending.

    A class may be a word in one column, or the one of several columns with a 1.

    Raises:
        UserError: if no column holds names of the files, or a file has several classes.
    """
    column = name_column(table, files)
    if column is None:
        raise UserError(
            f"{source}: no column holds the names of the {len(files):,} files: {', '.join(map(str, table))}"
        )
    others = table.drop(columns=[column])
    chosen = label_columns(others, labels, source) or ([others.columns[0]] if others.shape[1] == 1 else [])
    if not chosen:
        raise UserError(
            f"{source}: which column holds the labels? --labels= names one of {', '.join(map(str, others))}"
        )
    if len(chosen) > 1:
        marks = others[chosen].astype(float)
        if not (marks.isin([0, 1]).all(axis=None) and (marks.sum(axis=1) == 1).all()):
            raise UserError(
                f"{source}: a folder for each class needs exactly one 1 in {', '.join(chosen)}; images of several "
                "classes need no conversion: data=image_folder data.labels=<the table> classifier=multilabel"
            )
        named = marks.idxmax(axis=1)
    else:
        named = others[chosen[0]]
    known = _by_name(files)
    found: dict[Path, str] = {}
    for name, label in zip(map(plain_name, table[column].map(str)), _as_words(named), strict=True):
        if name in known and label is not None and found.setdefault(known[name], label) != label:
            raise UserError(
                f"{source}: {name} has two classes, {found[known[name]]} and {label}; a folder for each class needs one"
            )
    return found


def _as_words(labels: pd.Series) -> list[str | None]:
    """Labels as the names of classes, None for empty cells, because of which pandas reads 3 as 3.0."""
    if labels.dtype.kind == "f" and (labels.dropna() % 1 == 0).all():
        labels = labels.astype("Int64")
    return [None if pd.isna(label) else str(label) for label in labels]


def name_column(table: pd.DataFrame, files: Sequence[Path]) -> str | None:
    """The column of which most entries are names of files."""
    known = _by_name(files)
    shares = {name: table[name].head(1000).map(str).map(plain_name).isin(known).mean() for name in table.columns}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] > 0.5 else None


def by_their_names(files: Sequence[Path]) -> dict[Path, str]:
    """The label of each file, which is the beginning of its name: 7_jackson_0.wav, cat.1.jpg.

    Raises:
        UserError: if these are no classes.
    """
    labels = {path: re.split(r"[_.\- ]", path.name)[0] for path in files}
    num_classes = len(set(labels.values()))
    if num_classes < 2 or num_classes > _MOST_CLASSES * len(files):
        raise UserError(
            f"{files[0].parent}: the names of the files do not begin with a class ({files[0].name}); add a table of "
            "their labels: labels.csv, with a column of names and a column of classes"
        )
    return labels


def write(labels: Mapping[Path, str], others: Iterable[Path], folder: Path) -> None:
    """Make <folder>/<class>/<file> of labelled files, and <folder>_unlabelled/<file> of the others.

    The files are hard links where the disk can hold both, and copies elsewhere. A folder of files that have a split in
    one of their folders' names (train, val, test) gets folders of these names.
    """
    splits = {path: next((s for p in reversed(path.parts[:-1]) if (s := split_called(p))), None) for path in labels}
    has_splits = len(set(splits.values()) - {None}) > 1
    unlabelled = folder.with_name(f"{folder.name}_unlabelled")
    safe = {label: _safe(label) for label in dict.fromkeys(labels.values())}
    if twice := [label for label, name in safe.items() if list(safe.values()).count(name) > 1]:
        raise UserError(
            f"the classes {' and '.join(twice)} would share the folder {safe[twice[0]]}; rename one of them"
        )
    parts = {
        path: folder / (splits[path] or "train" if has_splits else "") / safe[label] for path, label in labels.items()
    }
    targets = parts | dict.fromkeys(others, unlabelled)
    for made in (folder, unlabelled):
        if made.exists():
            raise UserError(f"{made} is there already; name another folder, or remove it")
    begun = {made: made.with_name(f".{made.name}.{os.getpid()}.tmp") for made in (folder, unlabelled)}
    try:
        bar = tqdm(targets.items(), unit=" files", delay=1, leave=False, disable=not sys.stderr.isatty())
        for path, target in bar:
            made = folder if folder in (target, *target.parents) else unlabelled
            place = begun[made] / target.relative_to(made)
            place.mkdir(parents=True, exist_ok=True)
            _link(path, place / path.name)
        for made, temporary in begun.items():
            if temporary.exists():
                temporary.rename(made)
    finally:
        for temporary in begun.values():
            shutil.rmtree(temporary, ignore_errors=True)


def _link(path: Path, target: Path) -> None:
    number = 1
    while target.exists():  # two files of the same name from different folders
        number += 1
        target = target.with_name(f"{path.stem}-{number}{path.suffix}")
    try:
        os.link(path.resolve(), target)
    except OSError:
        shutil.copy2(path, target)


def _by_name(files: Iterable[Path]) -> dict[str, Path]:
    return {plain_name(path.name): path for path in files}


def plain_name(name: str) -> str:
    """A file's name without folders and ending: both may be missing in a table."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return last.rpartition(".")[0] if is_sample(last) else last


def _safe(label: str) -> str:
    """A label as the name of a folder that is not hidden."""
    return _NOT_IN_NAMES.sub("_", printable(label)).lstrip("._ ").rstrip(". ") or "unnamed"
