"""Reads tables, CSV, Parquet and ARFF: a row for each sample, a column of labels, and numbers or pixels."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import arff
from tqdm import tqdm

from cnnlab.data.files.imaging import read_image
from cnnlab.errors import UserError, did_you_mean
from cnnlab.workbench.conversion.samples import Array, Found, split_called

ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".arff")

_LABELS = ("label", "labels", "class", "target", "y", "digit", "category", "species", "emotion", "diagnosis")
_SPLITS = ("split", "usage", "set", "subset")
_NUMBERS_OF_ROWS = ("id", "imageid", "image_id", "index", "unnamed: 0")
_PIXELS = ("pixels", "pixel")
_ROWS_PER_READ = 5_000


def frame(path: Path) -> pd.DataFrame:
    """The rows of a file, with the names of the columns as text; without a header they are 0, 1, ….

    Raises:
        UserError: if it cannot be read.
    """
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            return pd.read_parquet(path)
        if name.endswith(".arff"):
            table = pd.DataFrame(arff.loadarff(path)[0])
            words = table.select_dtypes(object).columns
            table[words] = table[words].map(lambda value: value.decode() if isinstance(value, bytes) else value)
            return table
        return _delimited(path)
    except ImportError as error:
        raise UserError(f"{path}: pandas reads Parquet files with pyarrow; install it: pip install pyarrow") from error
    except Exception as error:  # each reader raises errors of its own kinds for damaged files
        raise UserError(f"{path} cannot be read as a table ({' '.join(str(error).split())})") from error


def found_in(table: pd.DataFrame, labels: Sequence[str], source: str) -> dict[str, Found]:
    """The samples of a table by splits; "all" where no column tells the split.

    Args:
        labels: the columns of the labels; with none the column is found by its name, or as the only one of words.

    Raises:
        UserError: naming the columns that are neither numbers nor labels.
    """
    if table.empty:
        raise UserError(f"{source} has no rows beside the names of its columns")
    labels = label_columns(table, labels, source)
    split_column = next((name for name in table.columns if _lower(name) in _SPLITS and name not in labels), None)
    others = [name for name in table.columns if name not in labels and name != split_column]
    features = [name for name in others if _lower(name) not in _NUMBERS_OF_ROWS]
    if not features:
        raise UserError(
            f"{source} has no columns besides {', '.join(map(str, table.columns))}; expected numbers or pixels"
        )
    x = _values(table[features], source)
    y = None
    if labels:
        y = table[labels[0]].to_numpy() if len(labels) == 1 else table[list(labels)].to_numpy()
    found = Found(x, y, tuple(labels) if len(labels) > 1 else None)
    if split_column is None:
        return {"all": found}
    told = table[split_column].map(lambda value: split_called(str(value)) or "train").to_numpy()
    return {
        split: Found(x[told == split], None if y is None else y[told == split], found.names)
        for split in ("train", "val", "test")
        if (told == split).any()
    }


def label_columns(table: pd.DataFrame, asked: Sequence[str], source: str) -> list[str]:
    """The columns that were asked for, or the one that seems to hold the labels; none: there are no labels."""
    for name in asked:
        if name not in table.columns:
            nearest = did_you_mean(name, map(str, table.columns))
            raise UserError(f"--labels: {source} has no column {name}{nearest}")
    if asked:
        return list(dict.fromkeys(asked))
    by_name = [name for wanted in _LABELS for name in table.columns if _lower(name) == wanted]
    words = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    words = [
        name for name in words if _lower(name) not in (*_PIXELS, *_SPLITS) and isinstance(table[name].iloc[0], str)
    ]
    if by_name or len(words) == 1:
        return [*by_name, *words][:1]
    has_no_header = all(str(name).isdecimal() for name in table.columns)
    return [table.columns[0]] if has_no_header else []  # as in mnist_train.csv


def _delimited(path: Path) -> pd.DataFrame:
    separator = "\t" if ".tsv" in path.name.lower() else ","
    first = pd.read_csv(path, sep=separator, nrows=1, header=None, dtype=str)
    if first.shape[1] == 1 and ";" in str(first.iloc[0, 0]):
        separator = ";"
        first = pd.read_csv(path, sep=separator, nrows=1, header=None, dtype=str)
    header = None if all(_is_number(value) for value in first.iloc[0]) else 0
    parts = pd.read_csv(path, sep=separator, header=header, chunksize=_ROWS_PER_READ)
    bar = tqdm(unit=" rows", desc=f"reading {path.name}", delay=1, leave=False, disable=not sys.stderr.isatty())
    read = []
    with bar:
        for part in parts:
            read.append(part)
            bar.update(len(part))
    table = pd.concat(read, ignore_index=True)
    table.columns = table.columns.map(str)
    return table


def _values(features: pd.DataFrame, source: str) -> Array:
    """(N, F) numbers; or (N, …) the pixels of a single column of images, or of numbers in a text."""
    first = features.iloc[0, 0]
    if features.shape[1] == 1 and isinstance(first, dict) and "bytes" in first:
        return _pictures(features.iloc[:, 0])
    if features.shape[1] == 1 and isinstance(first, str) and first.replace(" ", "").isdecimal():
        return np.stack([np.array(text.split(), np.float32) for text in features.iloc[:, 0]])
    words = [str(name) for name in features.columns if not pd.api.types.is_numeric_dtype(features[name])]
    if words:
        raise UserError(
            f"{source}: expected numbers beside the labels, got other columns: {', '.join(words[:5])}; --labels= names "
            "the column of the labels; for a table of file names let the last argument be a folder, not an npz file"
        )
    values: Array = features.to_numpy()
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        empty = [str(name) for name in features.columns if not np.isfinite(features[name]).all()]
        raise UserError(f"{source}: there are empty cells or infinite numbers in {', '.join(empty[:5])}")
    return values


def _pictures(column: pd.Series) -> Array:
    """The images of a column as Hugging Face's data sets store them, whole files as bytes."""
    shown = tqdm(column, unit=" images", delay=1, leave=False, disable=not sys.stderr.isatty())
    read = [read_image(cell["bytes"], 3) for cell in shown]
    if len({image.shape for image in read}) > 1:
        sizes = " and ".join(sorted({f"{image.shape[1]}x{image.shape[2]}" for image in read})[:2])
        raise UserError(f"the images of a Parquet file must have one size for an npz file, got {sizes}")
    x = np.stack(read)
    return x[:, 0] if (x == x[:, :1]).all() else x


def _lower(name: object) -> str:
    return str(name).lower()


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True
