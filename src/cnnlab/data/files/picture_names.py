"""Tells by their names which files below a folder are pictures and which belong to the system."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from PIL import Image

from cnnlab.errors import UserError, printable

# Files that network drives, Windows, macOS and Linux create; those of Jupyter and others begin with a dot.
_OF_THE_SYSTEM = {"@eadir", "@recycle", "@__thumb", "#recycle", "$recycle.bin", "system volume information"}
_OF_THE_SYSTEM |= {"lost+found", "thumbs.db", "desktop.ini"}

# Formats of which Pillow knows the names, but which it only writes, or only recognises.
_NOT_READ = {"BUFR", "GRIB", "HDF5", "MPEG", "PALM", "PDF", "WMF"}
_NUM_NAMED = 5


@cache
def picture_endings() -> frozenset[str]:
    """Return the file endings of the formats that Pillow reads, in lower case with their dots."""
    return frozenset(ending for ending, kind in Image.registered_extensions().items() if kind not in _NOT_READ)


def is_picture(name: str) -> bool:
    """Return whether a file's name is a picture's."""
    return os.path.splitext(name)[1].lower() in picture_endings()


def is_hidden(name: str) -> bool:
    """Return whether one part of a path is hidden or belongs to the system: .ipynb_checkpoints, __MACOSX, @eaDir."""
    return name.startswith((".", "__")) or name.casefold() in _OF_THE_SYSTEM


def files_below(folder: Path) -> Iterator[Path]:
    """Return all visible files in a folder and below, in no particular order.

    Linked folders are followed, but each only once, and none that contains `folder` itself.

    Raises:
        UserError: for a folder that cannot be read.
    """
    top = os.path.realpath(folder)
    seen = {top}
    for place, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        entered = []
        for name in sorted(folders, key=lambda name: (os.path.islink(os.path.join(place, name)), name)):
            target = os.path.realpath(os.path.join(place, name))
            if not is_hidden(name) and target not in seen and Path(target) not in Path(top).parents:
                entered.append(name)
                seen.add(target)
        folders[:] = entered
        yield from (Path(place, name) for name in names if not is_hidden(name))


def counted(names: Iterable[str]) -> str:
    """Return how many files there are of each kind, the most common first: 18 .heic, 2 .txt."""
    kinds = Counter(printable(os.path.splitext(name)[1].lower()) or "without an ending" for name in names)
    named = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))[:_NUM_NAMED]
    parts = [f"{number:,} {kind}" for kind, number in named]
    others = kinds.total() - sum(number for _, number in named)
    return ", ".join([*parts, f"{others:,} others"] if others else parts)


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename} cannot be read ({error.strerror})") from error
