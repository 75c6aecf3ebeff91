"""Data sets that come as four IDX files: MNIST and those made in its image."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from torchvision import datasets

from cnnlab.data.datamodule import DataModule
from cnnlab.data.files import idx_files
from cnnlab.data.files.download import DownloadFailed, fetch
from cnnlab.data.files.locations import ENVIRONMENT_VARIABLE, data_dirs
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Splits
from cnnlab.errors import UserError

NUM_VALIDATION = 5_000


class IdxDataModule(DataModule):
    """Files under `root` or its substitutes, else a download; 5,000 training images are held out for validation.

    The official test split is checked at the start and read only when it is asked for.

    Args:
        root: folder in torchvision's layout, <root>/MNIST/raw/…, the files packed (.gz) or not; None:
            $CNNLAB_DATA_DIR, else a cache folder.
        **loading: see DataModule.
    """

    has_known_splits = True
    dataset_name: str
    source: ClassVar[type[datasets.MNIST]]
    num_training = 60_000
    num_test = 10_000
    known_md5: ClassVar[dict[str, str]] = {}

    def __init__(self, root: str | None = None, **loading: Any) -> None:
        super().__init__(**loading)
        self.root = root
        self._failure: DownloadFailed | None = None

    def prepare_data(self) -> None:
        """Download the files if no folder holds all four; tried once, however often it is asked for."""
        if self.locate() is None and self._failure is None:
            try:
                fetch(self._mirrors(), self._download, self._folders()[-1])
            except DownloadFailed as failure:
                self._failure = failure

    def read(self) -> Splits:
        folder = self.locate()
        if folder is None:
            return self.without_files(self._failure or DownloadFailed("the run's first process found none"))
        checksums = {
            name: idx_files.check(self._found(folder, name), self._num_items(name), self.known_md5.get(name))
            for name in self._file_names()
        }
        validation, training = self._read_split(folder, "train").split(NUM_VALIDATION)
        return Splits(
            dataset=self.dataset_name,
            class_names=self.names_of_classes(),
            training=training,
            validation=validation,
            test=lambda: self._read_split(folder, "test"),
            checksums=checksums,
        )

    def locate(self) -> Path | None:
        """The folder that holds all four files, packed or not, None if there is none yet."""
        names = self._file_names()
        return next((folder for folder in self._folders() if all(idx_files.find(folder, name) for name in names)), None)

    def without_files(self, failure: DownloadFailed) -> Splits:
        """What to do when the files are neither on disk nor to be had."""
        raise UserError(
            f"{self.dataset_name} is neither under {data_dirs(self.root)[0]} nor can it be downloaded ({failure}); "
            f"put torchvision's folder {self.source.__name__}/raw there, or name its parent with data.root= or "
            f"{ENVIRONMENT_VARIABLE}"
        ) from failure

    @abstractmethod
    def names_of_classes(self) -> tuple[str, ...]:
        """Names in the order of the labels."""

    def arrange(self, data: TensorSamples) -> TensorSamples:
        """Turn the stored images and labels into upright images and labels from 0."""
        return data

    def file_prefix(self, split: str) -> str:
        """How the names of a split's two files begin, for split "train" or "test"."""
        return "train" if split == "train" else "t10k"

    def download_into(self, folder: Path) -> None:
        """Let torchvision download and unpack below `folder`."""
        self.source(str(folder), train=True, download=True)

    def _download(self, folder: Path) -> Path:
        self.download_into(folder)
        raw = folder / self.source.__name__ / "raw"
        for name in self._file_names():
            try:
                idx_files.check(raw / name, self._num_items(name), self.known_md5.get(name))
            except UserError as error:
                raise DownloadFailed(str(error)) from error
        return raw

    def _folders(self) -> list[Path]:
        return [folder / self.source.__name__ / "raw" for folder in data_dirs(self.root)]

    def _mirrors(self) -> list[str]:
        return list(self.source.mirrors)

    def _file_names(self) -> list[str]:
        prefixes = [self.file_prefix("train"), self.file_prefix("test")]
        return [f"{prefix}-{kind}-ubyte" for prefix in prefixes for kind in ("images-idx3", "labels-idx1")]

    def _num_items(self, file_name: str) -> int:
        return self.num_training if file_name.startswith(self.file_prefix("train")) else self.num_test

    def _read_split(self, folder: Path, split: str) -> TensorSamples:
        prefix = self.file_prefix(split)
        images, labels = (self._found(folder, f"{prefix}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
        return self.arrange(idx_files.read_labelled(images, labels))

    def _found(self, folder: Path, name: str) -> Path:
        return idx_files.find(folder, name) or folder / name
