"""Data sets that are downloaded where no folder of this machine holds them."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from cnnlab.data.datamodule import DataModule
from cnnlab.data.files.download import DownloadFailed, fetch

_NOT_TRIED = DownloadFailed("the run's first process found none")


class DownloadedDataModule(DataModule):
    """A data set with published files.

    Attributes:
        download_failure: why there are no files, for the message of `read`.
    """

    download_failure = _NOT_TRIED
    leftovers: tuple[str, ...] = (".gz", ".zip")  # endings of downloaded files that are not kept

    def prepare_data(self) -> None:
        """Download the files if no folder holds them all. Only the first call tries it."""
        if self.locate() is None and self.download_failure is _NOT_TRIED:
            try:
                fetch(self.addresses(), self._download, self.target_folder(), self.leftovers)
            except DownloadFailed as failure:
                self.download_failure = failure

    @abstractmethod
    def locate(self) -> Path | None:
        """Return where the files lie, or None if some are missing."""

    @abstractmethod
    def addresses(self) -> Sequence[str]:
        """Return the addresses, one of which has to answer."""

    @abstractmethod
    def target_folder(self) -> Path:
        """Return the folder into which the files are moved."""

    @abstractmethod
    def _download(self, folder: Path) -> Path:
        """Download below `folder`, check the files, and return where they lie."""
