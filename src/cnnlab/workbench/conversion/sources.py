"""Finds out what kinds of files there are to convert, and reads each kind by its reader."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from cnnlab.data.files.imaging import read_header, read_image
from cnnlab.errors import UserError
from cnnlab.workbench.conversion import cifar_pickle, idx, labelled_files, matlab, numpy_files, tables
from cnnlab.workbench.conversion.samples import Found, split_called


@dataclass(frozen=True)
class Choices:
    """What a user chose.

    Attributes:
        labels: the columns that hold the labels; none: found by their names.
        shape: of a sample; None: what its numbers suggest.
        size: of pictures that a table names, in pixels.
        test_fraction: the share of the samples that becomes the test split where there is none.
    """

    labels: Sequence[str] = ()
    shape: tuple[int, ...] | None = None
    size: int | None = None
    test_fraction: float = 0.1


def read(sources: Sequence[Path], choices: Choices) -> list[tuple[str, Found]]:
    """What every source holds, with the split that it is."""
    files = [file for source in sources for file in (_inside(source) if source.is_dir() else [source])]
    table_files = [path for path in files if path.name.lower().endswith(tables.ENDINGS)]
    pictures = [path for path in files if labelled_files.is_sample(path.name)]
    found: list[tuple[str, Found]] = []
    for path in table_files:
        table = tables.frame(path)
        if pictures and labelled_files.name_column(table, pictures) is not None:
            splits = _pictures_of(table, pictures, choices, path.name)
        else:
            splits = tables.found_in(table, choices.labels, path.name)
        found += [
            (split_called(path.stem) or "train" if split == "all" else split, part) for split, part in splits.items()
        ]
    readers: list[tuple[Callable[[Iterable[Path]], dict[str, Found]], Callable[[Path], bool]]] = [
        (idx.read, idx.is_idx),
        (matlab.read, lambda path: path.suffix == ".mat"),
        (numpy_files.read, lambda path: path.suffix in (".npy", ".npz")),
        (cifar_pickle.read, cifar_pickle.is_pickle),
    ]
    for read_files, accepts in readers:
        if accepted := [path for path in files if accepts(path) and path not in table_files]:
            found += [("train" if split == "all" else split, part) for split, part in read_files(accepted).items()]
    if not found:
        raise UserError(
            f"there is nothing to convert in {', '.join(map(str, sources))}; expected CSV, Parquet, ARFF, .mat, .npy, "
            ".npz or IDX files, or CIFAR's batches; an archive must be unpacked first, and for a folder of pictures or "
            "recordings the last argument is a folder too"
        )
    return found


def _inside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _pictures_of(table: pd.DataFrame, files: Sequence[Path], choices: Choices, source: str) -> dict[str, Found]:
    """The pictures that a table names as arrays of one size."""
    if choices.size is None:
        raise UserError(
            f"{source} names pictures; --size 64 makes arrays of 64x64 of them, or let the last argument be a folder"
        )
    column = labelled_files.name_column(table, files)
    columns = tables.label_columns(table.drop(columns=[column]), choices.labels, source)
    if not columns:
        raise UserError(f"{source}: which columns hold the labels? --labels= names them, with commas between")
    known = {labelled_files.plain_name(path.name): path for path in files}
    rows = table[table[column].map(str).map(labelled_files.plain_name).isin(known)]
    paths = [known[labelled_files.plain_name(str(name))] for name in rows[column]]
    channels = max(read_header(path).num_channels for path in paths)
    bar = tqdm(paths, unit=" pictures", delay=1, leave=False, disable=not sys.stderr.isatty())
    size = (choices.size, choices.size)
    x = np.stack([read_image(path, channels, size, resize="crop") for path in bar])
    y = rows[columns].to_numpy() if len(columns) > 1 else rows[columns[0]].to_numpy()
    return {"all": Found(x, y, tuple(columns) if len(columns) > 1 else None)}
