"""Data sets of four IDX files: MNIST and those that were made like it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from cnnlab.data.downloaded import DownloadedDataModule
from cnnlab.data.files import idx_files
from cnnlab.data.files.download import DownloadFailed
from cnnlab.data.files.locations import ENVIRONMENT_VARIABLE, data_dirs
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Splits
from cnnlab.errors import DataMissing, UserError

if TYPE_CHECKING:
    from torchvision import datasets

NUM_VALIDATION = 5_000
INSTALLED = Path("/usr/share/datasets")  # by Debian's packages


class IdxDataModule(DownloadedDataModule):
    """Files under `root` or its substitutes, else a download; 5,000 training images are held out for validation.

    The official test split is checked at the start and read only when it is needed. A data set is a subclass that
    sets the attributes below and, where they depend on an argument, sets them in its __init__.

    Args:
        root: folder in torchvision's layout, <root>/MNIST/raw/…, the files packed (.gz) or not; None:
            $CNNLAB_DATA_DIR, else a cache folder.
        **loading: see DataModule.

    Attributes:
        dataset_name: the name of the data set in every result.
        source: the name of torchvision's class, which downloads the files, with download_options as further arguments.
        class_names: in the order of the labels.
        file_prefixes: how the names of the two training files and of the two test files begin.
        known_md5: the checksums of the unpacked files by name, where they are known.
        is_transposed: whether the files hold the images transposed.
        first_label: the number of the first class in the files.
        debian_package: the package of Debian and its relatives that has the files, if there is one.
    """

    has_known_splits = True
    dataset_name: str
    source: ClassVar[str]
    class_names: tuple[str, ...]
    file_prefixes = ("train", "t10k")
    num_training, num_test = 60_000, 10_000
    known_md5: ClassVar[dict[str, str]] = {}
    is_transposed = False
    first_label = 0
    debian_package: ClassVar[str | None] = None

    def __init__(self, root: str | None = None, **loading: Any) -> None:
        super().__init__(**loading)
        self.root = root
        self.download_options: dict[str, Any] = {}

    def addresses(self) -> Sequence[str]:
        source = self._torchvision()
        return [source.url] if hasattr(source, "url") else source.mirrors

    def target_folder(self) -> Path:
        return self._folders()[-1]

    def read(self) -> Splits:
        folder = self.locate()
        if folder is None:
            raise DataMissing(
                f"{self.dataset_name} is neither under {data_dirs(self.root)[0]} nor can it be downloaded "
                f"({self.download_failure}); put torchvision's folder {self.source}/raw there, or name its "
                f"parent with data.root= or {ENVIRONMENT_VARIABLE}"
                + (f"; Debian's and Ubuntu's package {self.debian_package} has it, too" if self.debian_package else "")
            ) from self.download_failure
        checksums = self._check(folder)
        train_prefix, test_prefix = self.file_prefixes
        validation, training = self._read_split(folder, train_prefix).split(NUM_VALIDATION)
        return Splits(
            dataset=self.dataset_name,
            class_names=self.class_names,
            training=training,
            validation=validation,
            test=lambda: self._read_split(folder, test_prefix),
            checksums=checksums,
        )

    def locate(self) -> Path | None:
        """Return the folder that holds all four files, packed or not, or None if there is none yet."""
        names = self.files()
        installed = [INSTALLED / self.debian_package.removeprefix("dataset-")] if self.debian_package else []
        folders = [*self._folders(), *installed]
        return next((folder for folder in folders if all(idx_files.find(folder, name) for name in names)), None)

    def files(self) -> dict[str, int]:
        """Return the names of the four files with the number of images or labels in each."""
        sizes = zip(self.file_prefixes, (self.num_training, self.num_test), strict=True)
        return {f"{prefix}-{kind}-ubyte": size for prefix, size in sizes for kind in ("images-idx3", "labels-idx1")}

    def _download(self, folder: Path) -> Path:
        """Let torchvision download and unpack below `folder`; return where the files lie."""
        self._torchvision()(str(folder), train=True, download=True, **self.download_options)
        raw = folder / self.source / "raw"
        try:
            self._check(raw)
        except UserError as error:
            raise DownloadFailed(str(error)) from error
        return raw

    def _check(self, folder: Path) -> dict[str, str]:
        """Return the checksum of each file; raise UserError for a file that is not what it should be."""
        return {
            name: idx_files.check(self._path(folder, name), size, self.known_md5.get(name))
            for name, size in self.files().items()
        }

    def _torchvision(self) -> "type[datasets.MNIST]":
        from torchvision import datasets  # takes long to import, and only a download needs it

        return getattr(datasets, self.source)  # type: ignore[no-any-return]

    def _folders(self) -> list[Path]:
        return [folder / self.source / "raw" for folder in data_dirs(self.root)]

    def _read_split(self, folder: Path, prefix: str) -> TensorSamples:
        images, labels = (self._path(folder, name) for name in self.files() if name.startswith(f"{prefix}-"))
        stored = idx_files.read_labelled(images, labels)
        inputs = stored.inputs.transpose(2, 3).contiguous() if self.is_transposed else stored.inputs
        return TensorSamples(inputs, stored.labels - self.first_label)

    def _path(self, folder: Path, name: str) -> Path:
        return idx_files.find(folder, name) or folder / name
