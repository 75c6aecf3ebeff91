"""Converts files of any supported kind to the one file that data=npz reads."""

import io
import os
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from tqdm import tqdm

from cnnlab.data.files.imaging import read_header, read_image
from cnnlab.data.stratified import stratified_order
from cnnlab.errors import UserError
from cnnlab.workbench.conversion import cifar_pickle, idx, labelled_files, matlab, numpy_files, tables
from cnnlab.workbench.conversion.samples import Array, Found, checked, shaped, split_called, with_classes

_ORDER = ("train", "val", "test")


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        splits: train, test, and val if there was one; none if nothing had labels.
        unlabelled: the samples without labels.
        is_classes: whether the labels are classes; otherwise several zeros and ones for each sample, or values.
        unlabelled_file: where the samples without labels were written.
        notes: what a user should know of the way.
    """

    splits: dict[str, Found]
    unlabelled: Found | None
    is_classes: bool
    unlabelled_file: Path
    notes: list[str]


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


def convert(sources: Sequence[Path], out: Path, choices: Choices) -> Converted:
    """Read the sources, and write `out`; samples without labels go into a file beside it.

    Raises:
        UserError: for what cannot be read, and for a file that is there already.
    """
    notes: list[str] = []
    splits, unlabelled = _sorted_by_labels(_read(sources, choices), choices.shape)
    shapes = {found.x.shape[1:] for found in [*splits.values(), *unlabelled]}
    if len(shapes) > 1:
        raise UserError(f"all samples must have one shape, got {' and '.join('x'.join(map(str, s)) for s in shapes)}")
    splits, is_classes = with_classes(splits) if splits else ({}, True)
    if splits and "train" not in splits:
        raise UserError(f"there are only samples of {' and '.join(splits)}, and none to train on")
    if splits and "test" not in splits:
        splits = _with_test(splits, choices.test_fraction, is_classes)
        notes.append(
            f"test   a stratified part of {choices.test_fraction:.0%}, for the files hold no test samples with labels"
        )
    others = _joined(unlabelled) if unlabelled else None
    pictures = others is not None and _pictures(others.x) is not None
    beside = out.with_name(f"{out.stem}_unlabelled{'.zip' if pictures else '.npz'}")
    for path in (out, beside):
        if path.exists():
            raise UserError(f"{path} is there already; name another file, or remove it")
    if splits:
        names = splits["train"].names
        arrays: dict[str, Any] = {f"{xy}_{split}": getattr(splits[split], xy) for split in splits for xy in "xy"}
        arrays |= {"class_names": np.array(names)} if names else {}
        _write(out, lambda file: np.savez(file, **arrays))
    if others is not None:
        _write(beside, lambda file: _write_unlabelled(file, others.x))
    return Converted({s: splits[s] for s in _ORDER if s in splits}, others, is_classes, beside, notes)


def _read(sources: Sequence[Path], choices: Choices) -> list[tuple[str, Found]]:
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
    for read, accepts in readers:
        if accepted := [path for path in files if accepts(path) and path not in table_files]:
            found += [("train" if split == "all" else split, part) for split, part in read(accepted).items()]
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


def _sorted_by_labels(
    found: list[tuple[str, Found]], shape: tuple[int, ...] | None
) -> tuple[dict[str, Found], list[Found]]:
    """The labelled samples by split, and those without labels."""
    parts: dict[str, list[Found]] = {}
    unlabelled = []
    for split, one in found:
        formed = shaped(checked(one, split), shape)
        if formed.y is None:
            unlabelled.append(formed)
        else:
            parts.setdefault(split, []).append(formed)
    return {split: _joined(several) for split, several in parts.items()}, unlabelled


def _joined(several: Sequence[Found]) -> Found:
    if len(several) == 1:
        return several[0]
    labels = [found.y for found in several if found.y is not None]
    y = np.concatenate(labels) if labels else None
    return Found(np.concatenate([found.x for found in several]), y, several[0].names)


def _with_test(splits: dict[str, Found], fraction: float, is_classes: bool) -> dict[str, Found]:
    whole = splits["train"]
    assert whole.y is not None
    if len(whole) < 2:
        raise UserError("a single sample with a label cannot be split into training and test samples")
    labels = torch.from_numpy(whole.y if is_classes else whole.y.astype(np.float32))
    order = stratified_order(labels).numpy()
    size = max(1, round(fraction * len(whole)))
    parts = {"test": order[:size], "train": order[size:]}
    return splits | {split: replace(whole, x=whole.x[at], y=whole.y[at]) for split, at in parts.items()}


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name when it is whole, for content that is too large to be in memory twice."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    try:
        with _replacing(path) as file:
            write(file)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror})") from error


def _write_unlabelled(file: IO[bytes], x: Array) -> None:
    """Pictures as a zip archive of PNG files numbered in their order, anything else as an npz file."""
    pictures = _pictures(x)
    if pictures is None:
        np.savez(file, x=x)
        return
    digits = len(str(len(x)))
    with zipfile.ZipFile(file, "w") as archive:
        for number, pixels in enumerate(tqdm(pictures, unit=" pictures", delay=1, disable=not sys.stderr.isatty()), 1):
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG")
            archive.writestr(f"{number:0{digits}}.png", content.getvalue())


def _pictures(x: Array) -> Array | None:
    """Samples as (N, H, W) or (N, H, W, 3) bytes if they are grey or RGB images."""
    if x.dtype != np.uint8:
        return None
    if x.ndim == 4 and x.shape[1] in (1, 3):
        x = np.moveaxis(x, 1, -1)
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    return x if x.ndim == 3 or (x.ndim == 4 and x.shape[-1] == 3) else None
