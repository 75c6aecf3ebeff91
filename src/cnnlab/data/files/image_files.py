"""Finds the image files below a folder by split and class."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnlab.data.files.picture_names import counted, files_below, is_hidden, is_picture
from cnnlab.errors import UserError

log = logging.getLogger(__name__)

_LEVELS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
_NUM_NAMED = 5


@dataclass(frozen=True)
class ImageFiles:
    """The image files of a split.

    Attributes:
        labels: the class number of each path.
        sizes: the size of each file in bytes.
    """

    root: Path
    paths: list[Path]
    labels: list[int]
    sizes: list[int]

    @classmethod
    def below(cls, folder: Path, class_names: Sequence[str]) -> "ImageFiles":
        unknown = sorted({entry.name for entry in _visible_folders(folder)} - set(class_names))
        if unknown:
            raise UserError(
                f"{folder} holds classes without training images: {', '.join(unknown[:_NUM_NAMED])} "
                f"(the training folder has {', '.join(class_names[:10])})"
            )
        paths: list[Path] = []
        labels: list[int] = []
        others: list[str] = []
        num_broken = 0
        for label, name in enumerate(class_names):
            files = sorted(files_below(folder / name))
            found = [path for path in files if is_picture(path.name) and path.is_file()]
            others += [path.name for path in files if not is_picture(path.name)]
            num_broken += sum(is_picture(path.name) for path in files) - len(found)
            paths += found
            labels += [label] * len(found)
        if not paths:
            only = f", only {counted(others)}" if others else ""
            raise UserError(f"{folder} holds no images{only}; expected {folder.name}/<class>/<image>")
        if others:
            log.warning(
                "WARNING: %d of %d files in %s are no pictures that Pillow reads, by their names, and are left out: %s",
                len(others),
                len(others) + len(paths),
                folder,
                counted(others),
            )
        if num_broken:
            log.warning("WARNING: %d pictures in %s are links to nothing, and are left out", num_broken, folder)
        if loose := sum(is_picture(entry.name) and entry.is_file() for entry in folder.iterdir()):
            log.warning("WARNING: %d pictures in %s lie in no folder of a class, and are left out", loose, folder)
        return cls(folder, paths, labels, [path.stat().st_size for path in paths])

    def only(self, positions: Sequence[int]) -> "ImageFiles":
        if len(positions) == len(self.paths):
            return self
        lists = ([values[i] for i in positions] for values in (self.paths, self.labels, self.sizes))
        return ImageFiles(self.root, *lists)  # type: ignore[arg-type]

    def fingerprint(self) -> str:
        """Return one md5 of the names and sizes of all files, because reading the files themselves may be slow."""
        lines = [
            f"{path.relative_to(self.root).as_posix()} {size}"
            for path, size in zip(self.paths, self.sizes, strict=True)
        ]
        content = "\n".join(lines).encode(errors="backslashreplace")  # a file name may be bytes that are not valid text
        return hashlib.md5(content, usedforsecurity=False).hexdigest()


def folders_of_splits(root: Path) -> dict[str, Path]:
    """Return the folder of each split, or only the root if it holds the class folders itself.

    Raises:
        UserError: if there is no such folder.
    """
    if not root.is_dir():
        raise UserError(f"there is no folder {root}; data.root= names one with a sub-folder of images for each class")
    present = {entry.name.lower(): entry for entry in _visible_folders(root)}
    training = next((present[name] for name in _LEVELS["train"] if name in present), None)
    if training is None or not _visible_folders(training):
        return {"train": root}
    found = {
        split: next(present[name] for name in names if name in present)
        for split, names in _LEVELS.items()
        if any(name in present for name in names)
    }
    others = sorted(entry.name for entry in present.values() if entry not in found.values())
    if others:
        log.warning("WARNING: %s has splits, so these folders are not used: %s", root, ", ".join(others))
    return found


def names_of_classes(folder: Path) -> tuple[str, ...]:
    """Return the names of the class folders, with numbers sorted by their values."""
    names = [entry.name for entry in _visible_folders(folder)]
    if len(names) < 2:
        found = f"only {names[0]!r}" if names else "none"
        raise UserError(f"expected at least two class folders in {folder}, each with images, got {found}")
    for name in names:
        if next(files_below(folder / name), None) is None:
            raise UserError(f"class folder {folder / name} is empty; fill it or remove it")
    return tuple(sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)))


def _visible_folders(folder: Path) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not is_hidden(entry.name)]
