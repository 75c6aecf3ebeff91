"""The image files below a folder, by split and class."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cnnlab.errors import UserError

log = logging.getLogger(__name__)

_LEVELS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
_NUM_NAMED = 5


@dataclass(frozen=True)
class ImageFiles:
    """The image files of a split.

    Attributes:
        labels: one per path.
        sizes: in bytes.
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
        endings = set(Image.registered_extensions())
        paths: list[Path] = []
        labels: list[int] = []
        for label, name in enumerate(class_names):
            found = [
                path
                for path in sorted((folder / name).rglob("*"))
                if path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file()
            ]
            paths += found
            labels += [label] * len(found)
        if not paths:
            raise UserError(f"{folder} holds no images; expected {folder.name}/<class>/<image>")
        return cls(folder, paths, labels, [path.stat().st_size for path in paths])

    def only(self, positions: Sequence[int]) -> "ImageFiles":
        if len(positions) == len(self.paths):
            return self
        lists = ([values[i] for i in positions] for values in (self.paths, self.labels, self.sizes))
        return ImageFiles(self.root, *lists)  # type: ignore[arg-type]

    def fingerprint(self) -> str:
        """Names and sizes of all files as one md5: quick also where reading every file would not be."""
        lines = [
            f"{path.relative_to(self.root).as_posix()} {size}"
            for path, size in zip(self.paths, self.sizes, strict=True)
        ]
        return hashlib.md5("\n".join(lines).encode(), usedforsecurity=False).hexdigest()


def folders_of_splits(root: Path) -> dict[str, Path]:
    """The folder of each split, or the root alone where it holds the classes itself.

    Raises:
        UserError: if there is nothing to learn from.
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
    """Names of the class folders, numbers in the order of their values."""
    names = [entry.name for entry in _visible_folders(folder)]
    if len(names) < 2:
        found = f"only {names[0]!r}" if names else "none"
        raise UserError(f"expected at least two class folders in {folder}, each with images, got {found}")
    for name in names:
        if not any(path.is_file() and not path.name.startswith(".") for path in (folder / name).rglob("*")):
            raise UserError(f"class folder {folder / name} is empty; fill it or remove it")
    return tuple(sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)))


def _visible_folders(folder: Path) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith((".", "__"))]
