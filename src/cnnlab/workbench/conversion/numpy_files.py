"""Reads NumPy's .npy and .npz files, those of MedMNIST among them."""

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cnnlab.errors import UserError
from cnnlab.workbench.conversion.named_arrays import paired
from cnnlab.workbench.conversion.samples import Array, Found


def read(paths: Iterable[Path]) -> dict[str, Found]:
    """The samples of x.npy and y.npy, x_train.npy, …; or of the arrays in one npz file.

    Raises:
        UserError: for a file that NumPy does not read without running code.
    """
    arrays: dict[str, Array] = {}
    paths = list(paths)
    for path in paths:
        try:
            loaded = np.load(path, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                arrays[path.stem] = loaded
            else:
                with loaded:  # an archive, which may hold other files too
                    arrays |= {name: array for name, array in loaded.items() if isinstance(array, np.ndarray)}
        except (ValueError, OSError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
            reason = "it holds Python objects, which only running code could read" if "pickle" in str(error) else error
            raise UserError(f"{path} cannot be read as a NumPy file ({' '.join(str(reason).split())})") from error
    return paired(arrays, " and ".join(path.name for path in paths))
