"""The base of what reads files of one kind of data, so that a network can be asked about them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnlab.workbench.prediction import sources


class Part(NamedTuple):
    """One of several digits in a picture.

    Attributes:
        file: the picture's name.
        number: its place from the left, from 1.
    """

    file: str
    number: int


class Prepared(NamedTuple):
    """The content of a file, and the sample that the network is shown of it.

    Attributes:
        picture: what a person sees in the file, small and in colour, (3, H, W) uint8; None: nothing to draw.
        sample: (C, *spatial), of the shape and stored type that the network was trained on.
        seen: the sample as a person would look at it, grey or in colour, (1 or 3, H, W) uint8; or None.
        part: if the file holds several digits, which of them this is.
        warning: what a person should know of the file, if anything.
    """

    picture: NDArray[np.uint8] | None
    sample: NDArray[Any]
    seen: NDArray[np.uint8] | None
    part: Part | None = None
    warning: str | None = None


class Reader(ABC):
    """Reads files as the data set of a run reads its own.

    Attributes:
        what: the files in the plural: pictures, recordings.
        formats: the formats by their names, for messages.
        entry: what a single answer is of.
        request: the end of a message, when nothing was named to answer for.
    """

    what: ClassVar[str]
    formats: ClassVar[str]
    entry: ClassVar[str] = "file"
    request: ClassVar[str]

    @abstractmethod
    def accepts(self, name: str) -> bool:
        """Whether a file of this name is meant, where a folder or an archive is searched."""

    @abstractmethod
    def read(self, source: Path | bytes, name: str) -> Prepared:
        """Read a file, or its content.

        Raises:
            UserError: if it cannot be read, or no sample comes of it.
        """

    def read_all(self, source: Path | bytes, name: str) -> Iterator[tuple[str, Prepared]]:
        """Read the samples of a file one after the other, each with a name.

        Raises:
            UserError: if it cannot be read, or no sample comes of it.
        """
        yield name, self.read(source, name)

    def find(self, inputs: str, key: str = "inputs") -> sources.Sources:
        """What a user means, see sources.find."""
        return sources.find(inputs, self, key)
