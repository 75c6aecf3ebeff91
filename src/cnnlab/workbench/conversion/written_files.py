"""Writes converted samples: labelled ones as an npz file, pictures without labels as a zip archive."""

import io
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from cnnlab.errors import UserError
from cnnlab.workbench.conversion.samples import Array


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write an npz file.

    Raises:
        UserError: if the file cannot be written.
    """
    _write(path, lambda file: np.savez(file, **arrays))


def write_unlabelled(path: Path, x: Array) -> None:
    """Write pictures as a zip archive of PNG files numbered in their order, anything else as an npz file.

    Raises:
        UserError: if the file cannot be written.
    """
    _write(path, lambda file: _write_unlabelled(file, x))


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
    pictures = pictures_of(x)
    if pictures is None:
        np.savez(file, x=x)
        return
    digits = len(str(len(x)))
    with zipfile.ZipFile(file, "w") as archive:
        for number, pixels in enumerate(tqdm(pictures, unit=" pictures", delay=1, disable=not sys.stderr.isatty()), 1):
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG")
            archive.writestr(f"{number:0{digits}}.png", content.getvalue())


def pictures_of(x: Array) -> Array | None:
    """Samples as (N, H, W) or (N, H, W, 3) bytes if they are grey or RGB images."""
    if x.dtype != np.uint8:
        return None
    if x.ndim == 4 and x.shape[1] in (1, 3):
        x = np.moveaxis(x, 1, -1)
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    return x if x.ndim == 3 or (x.ndim == 4 and x.shape[-1] == 3) else None
