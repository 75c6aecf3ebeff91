"""MNIST-1D (Greydanus & Kobak, Scaling down deep learning with MNIST-1D, 2024): ten shapes of a short signal."""

import random
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from cnnlab.data.datamodule import DataModule
from cnnlab.data.files.locations import ENVIRONMENT_VARIABLE, data_dirs
from cnnlab.data.files.npz_file import NpzFile
from cnnlab.data.files.published_npz import REMEDY, digest, locate, read_arrays
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Splits
from cnnlab.errors import UserError

FILE = "mnist1d/mnist1d.npz"
_NUM_VALIDATION = 400


class MNIST1D(DataModule):
    """Signals of 40 points: 3,600 training, 400 validation and the 1,000 official test samples, 1x40, float32.

    The file is found like MNIST's. Where it is not, the package `mnist1d` makes the same numbers, if it is installed,
    and the file is written for the next time.

    Args:
        root: folder that holds mnist1d/mnist1d.npz; None: $CNNLAB_DATA_DIR, else a cache folder.
        **loading: see DataModule.
    """

    has_known_splits = True
    known_sha256: ClassVar[str] = "5e36d42c2c8083ad9d023e9a6b92a282ab04b8d05c446fbb806a629ae97bf5a9"
    # Of the arrays in it: the same numbers packed by another zlib make another file.
    known_crc32: ClassVar[dict[str, str]] = {
        "x": "3dbd41d7",
        "y": "bf529b64",
        "x_test": "7525c5f2",
        "y_test": "8277280a",
    }

    def __init__(self, root: str | None = None, **loading: Any) -> None:
        super().__init__(**loading)
        self.root = root

    def prepare_data(self) -> None:
        """Make the file if no folder has it and the package is there."""
        if locate(self.root, FILE) is None and (arrays := _made()) is not None:
            path = data_dirs(self.root)[-1] / FILE
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(prefix=".made-", dir=path.parent) as folder:  # of this process alone
                    unfinished = Path(folder, path.name)
                    np.savez_compressed(unfinished, allow_pickle=False, **arrays)
                    unfinished.replace(path)
            except OSError as error:
                raise UserError(
                    f"mnist1d cannot be written to {path} ({error.strerror}); name another folder with data.root= or "
                    f"{ENVIRONMENT_VARIABLE}"
                ) from error

    def read(self) -> Splits:
        path = locate(self.root, FILE)
        if path is None:
            raise UserError(
                f"mnist1d is not under {data_dirs(self.root)[0]}; put the file {FILE} there, name its parent with "
                f"data.root= or {ENVIRONMENT_VARIABLE}, or let it be made: pip install mnist1d"
            )
        arrays = read_arrays(path, (40,), {"x": "y", "x_test": "y_test"})
        training, test = (
            TensorSamples(torch.from_numpy(x.astype(np.float32)).unsqueeze(1), torch.from_numpy(y.astype(np.int64)))
            for x, y in ((arrays["x"], arrays["y"]), (arrays["x_test"], arrays["y_test"]))
        )
        checksum = self._checked(path)
        validation, training = training.split(_NUM_VALIDATION)
        return Splits(
            dataset="mnist1d",
            class_names=tuple("0123456789"),
            training=training,
            validation=validation,
            test=test,
            checksums={path.name: checksum},
        )

    def _checked(self, path: Path) -> str:
        found = digest(path, "sha256")
        if found != self.known_sha256 and NpzFile(path).checksums() != self.known_crc32:
            raise UserError(f"{path} has been altered: expected sha256 {self.known_sha256}, got {found}; {REMEDY}")
        return self.known_sha256


def _made() -> dict[str, NDArray[Any]] | None:
    """The arrays as the package makes them with its defaults, or None without it."""
    try:
        from mnist1d.data import make_dataset
    except ImportError:
        return None
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):  # it seeds every generator there is
        made = make_dataset()
    random.setstate(states[0])
    np.random.set_state(states[1])
    return {name: made[name].astype(np.float32 if name[0] == "x" else np.int64) for name in MNIST1D.known_crc32}
