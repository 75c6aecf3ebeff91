"""Published data sets that are a single .npz file: where it lies, whether it is the original, and the arrays in it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cnnlab.data.files.locations import data_dirs
from cnnlab.data.files.npz_file import NpzFile
from cnnlab.errors import UserError

REMEDY = "delete the file, or put the original in its place"


def locate(root: str | None, name: str) -> Path | None:
    """Return the file of this relative name in the first of the data folders that has it, or None."""
    return next((path for folder in data_dirs(root) if (path := folder / name).is_file()), None)


def read_arrays(
    path: Path, sample_shape: tuple[int, ...], inputs_and_labels: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file after a look at their names and shapes.

    Args:
        sample_shape: of one sample of the inputs.
        inputs_and_labels: the name of the labels for each name of inputs.

    Raises:
        UserError: for arrays that are missing, samples of another shape, or numbers of inputs and labels that differ.
    """
    file = NpzFile(path)
    wanted = [name for pair in inputs_and_labels.items() for name in pair]
    if missing := [name for name in wanted if name not in file.names]:
        raise UserError(
            f"{path} needs the arrays {', '.join(wanted)}; missing: {', '.join(missing)}; "
            f"it holds {', '.join(file.names) or 'nothing'}; {REMEDY}"
        )
    for inputs, labels in inputs_and_labels.items():
        shape, _ = file.header(inputs)
        if shape[1:] != sample_shape:
            sizes = ["x".join(map(str, sizes)) or "a single number" for sizes in (sample_shape, shape[1:])]
            raise UserError(f"{inputs} in {path} must hold samples of {sizes[0]}, got {sizes[1]}; {REMEDY}")
        num_labels = file.header(labels)[0][:1]
        if num_labels != shape[:1]:
            raise UserError(f"{labels} in {path} must hold {shape[0]} labels, one per sample of {inputs}; {REMEDY}")
    return {name: file.read(name) for name in wanted}


def digest(path: Path, algorithm: str) -> str:
    """Return the checksum of a whole file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
