"""OrganMNIST3D (Yang et al., MedMNIST v2, 2023): organs cut out of CT scans, small volumes in eleven classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torchvision.datasets.utils import download_url

from cnnlab.data.downloaded import DownloadedDataModule
from cnnlab.data.files.locations import ENVIRONMENT_VARIABLE, data_dirs
from cnnlab.data.files.published_npz import REMEDY, digest, locate, read_arrays
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Splits
from cnnlab.errors import DataMissing, UserError

FILE = "organmnist3d/organmnist3d.npz"


class OrganMNIST3D(DownloadedDataModule):
    """971 training, 161 validation and 610 test volumes, 1x28x28x28, uint8, in MedMNIST's own splits.

    Args:
        root: folder that holds organmnist3d/organmnist3d.npz; None: $CNNLAB_DATA_DIR, else a cache folder.
        **loading: see DataModule.
    """

    has_known_splits = True
    # Address and md5 are those of medmnist/info.py in MedMNIST 3.0.
    url: ClassVar[str] = "https://zenodo.org/records/10519652/files/organmnist3d.npz?download=1"
    known_md5: ClassVar[str] = "a0c5a1ff56af4f155c46d46fbb45a2fe"

    def __init__(self, root: str | None = None, **loading: Any) -> None:
        super().__init__(**loading)
        self.root = root

    def addresses(self) -> Sequence[str]:
        return [self.url]

    def target_folder(self) -> Path:
        return (data_dirs(self.root)[-1] / FILE).parent

    def locate(self) -> Path | None:
        return locate(self.root, FILE)

    def read(self) -> Splits:
        path = self.locate()
        if path is None:
            raise DataMissing(
                f"organmnist3d is neither under {data_dirs(self.root)[0]} nor can it be downloaded "
                f"({self.download_failure}); put MedMNIST's file there as {FILE}, or name its parent's parent with "
                f"data.root= or {ENVIRONMENT_VARIABLE}"
            ) from self.download_failure
        names = {f"{split}_images": f"{split}_labels" for split in ("train", "val", "test")}
        arrays = read_arrays(path, (28, 28, 28), names)
        if any(arrays[name].dtype != np.uint8 for name in names):
            raise UserError(f"the images in {path} must be uint8; {REMEDY}")
        found = digest(path, "md5")
        if found != self.known_md5:
            raise UserError(f"{path} has been altered: expected md5 {self.known_md5}, got {found}; {REMEDY}")
        training, validation, test = (
            TensorSamples(
                torch.from_numpy(arrays[images]).unsqueeze(1),
                torch.from_numpy(arrays[labels].reshape(-1).astype(np.int64)),
            )
            for images, labels in names.items()
        )
        return Splits(
            dataset="organmnist3d",
            class_names=(
                *("liver", "kidney-right", "kidney-left", "femur-right", "femur-left", "bladder"),
                *("heart", "lung-right", "lung-left", "spleen", "pancreas"),
            ),
            training=training.split(0)[1],
            validation=validation.split(0)[1],
            test=test,
            checksums={path.name: found},
        )

    def _download(self, folder: Path) -> Path:
        download_url(self.url, str(folder), Path(FILE).name, self.known_md5)
        return folder
