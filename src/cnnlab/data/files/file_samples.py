"""A map-style dataset of files."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from cnnlab.errors import UserError

log = logging.getLogger(__name__)


class FileSamples(Dataset[tuple[Tensor] | None]):
    """What is read of each file, (sample,), or None for an unreadable one that is to be skipped.

    Args:
        read: makes a sample (C, *spatial) of a file.
        skip: leave out unreadable files with a warning; or else they are errors.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[Path], NDArray[Any]], skip: bool) -> None:
        self.paths, self.read, self.skip = paths, read, skip

    def __getitem__(self, index: int) -> tuple[Tensor] | None:
        try:
            return (torch.from_numpy(self.read(self.paths[index])),)
        except UserError as error:
            if self.skip:
                log.warning("WARNING: left out: %s", error)
                return None
            raise UserError(f"{error}; remove it, or leave it out with data.unreadable=skip") from error
