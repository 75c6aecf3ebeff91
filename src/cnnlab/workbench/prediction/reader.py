"""The protocol of what reads files of one kind of data, so that a network can be asked about them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Prepared(NamedTuple):
    """The content of a file, and the sample that the network is shown of it.

    Attributes:
        picture: what a person sees in the file, small and in colour, (3, H, W) uint8; None: nothing to draw.
        sample: (C, *spatial), of the shape and stored type that the network was trained on.
        seen: the sample as a person would look at it, grey or in colour, (1 or 3, H, W) uint8; or None.
    """

    picture: NDArray[np.uint8] | None
    sample: NDArray[Any]
    seen: NDArray[np.uint8] | None


class Reader(Protocol):
    """Reads files as the data set of a run reads its own.

    Attributes:
        what: the files in the plural: pictures, recordings.
        formats: the formats by their names, for messages.
    """

    what: str
    formats: str

    def accepts(self, name: str) -> bool:
        """Whether a file of this name is meant, where a folder or an archive is searched."""
        ...

    def read(self, source: Path | bytes, name: str) -> Prepared:
        """Read a file, or its content.

        Raises:
            UserError: if it cannot be read, or no sample comes of it.
        """
        ...


@runtime_checkable
class SeveralReader(Reader, Protocol):
    """Reads files that may hold more than one sample."""

    def read_all(self, source: Path | bytes, name: str) -> Iterator[tuple[str, Prepared]]:
        """Read the samples of a file one after the other, each with a name.

        Raises:
            UserError: if it cannot be read, or no sample comes of it.
        """
        ...
