"""Reads MATLAB's .mat files, SVHN's among them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from cnnlab.errors import UserError
from cnnlab.workbench.conversion.named_arrays import paired
from cnnlab.workbench.conversion.samples import Array, Found

_SVHN = (32, 32, 3)


def read(paths: Iterable[Path]) -> dict[str, Found]:
    """The samples of the arrays X and y, or of others with such names.

    SVHN's label 10 stands for the digit 0.
    """
    arrays: dict[str, Array] = {}
    paths = list(paths)
    for path in paths:
        try:
            variables = loadmat(path)
        except NotImplementedError as error:
            raise UserError(
                f"{path} is a file of MATLAB 7.3, which is HDF5; save it in MATLAB with the option -v7"
            ) from error
        except Exception as error:  # scipy raises many kinds of errors for files that are damaged
            raise UserError(f"{path} cannot be read as a MATLAB file ({' '.join(str(error).split())})") from error
        named = {name: value for name, value in variables.items() if not name.startswith("__")}
        arrays |= {f"{path.stem}_{name}": value for name, value in named.items() if isinstance(value, np.ndarray)}
    splits = paired(arrays, " and ".join(path.name for path in paths))
    return {split: _with_zero(found) for split, found in splits.items()}


def _with_zero(found: Found) -> Found:
    is_svhn = found.x.shape[1:] == _SVHN and found.y is not None and found.y.min() >= 1 and found.y.max() == 10
    return Found(found.x, found.y % 10) if is_svhn and found.y is not None else found
