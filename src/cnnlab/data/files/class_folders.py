"""Finds the files below a folder by split and class."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from cnnlab.data.files.npz_file import convert_command  # only: workbench
from cnnlab.data.files.picture_names import counted, files_below, is_hidden
from cnnlab.data.lazy_samples import LazySamples
from cnnlab.data.splits import Splits
from cnnlab.errors import DataMissing, UserError, nearest, printable

log = logging.getLogger(__name__)

_LEVELS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
_NUM_NAMED = 5


@dataclass(frozen=True)
class FileKind:
    """The kind of files that is wanted, and its names in messages.

    Attributes:
        accepts: whether a file is one of them, by its name.
        samples: as samples of a data set: images.
        files: as files: pictures.
        readable: files that can be read: pictures that Pillow reads.
    """

    accepts: Callable[[str], bool]
    samples: str
    files: str
    readable: str


@dataclass(frozen=True)
class LabelledFiles:
    """The files of a split.

    Attributes:
        labels: the class number of each path; or 0 or 1 for each of several labels.
        sizes: the size of each file in bytes.
    """

    root: Path
    paths: list[Path]
    labels: list[int] | list[list[float]]
    sizes: list[int]

    @classmethod
    def below(cls, folder: Path, class_names: Sequence[str], kind: FileKind) -> "LabelledFiles":
        is_wanted = kind.accepts
        unknown = sorted({entry.name for entry in _visible_folders(folder)} - set(class_names))
        if unknown:
            raise UserError(
                f"{folder} holds classes without training {kind.samples}: {', '.join(unknown[:_NUM_NAMED])} "
                f"(the training folder has {', '.join(class_names[:10])})"
            )
        paths: list[Path] = []
        labels: list[int] = []
        others: list[str] = []
        num_broken = 0
        for label, name in enumerate(class_names):
            files = sorted(files_below(folder / name))
            found = [path for path in files if is_wanted(path.name) and path.is_file()]
            others += [path.name for path in files if not is_wanted(path.name)]
            num_broken += sum(is_wanted(path.name) for path in files) - len(found)
            paths += found
            labels += [label] * len(found)
        if not paths:
            only = f", only {counted(others)}" if others else ""
            raise UserError(
                f"{folder} holds no {kind.samples}{only}; expected {folder.name}/<class>/<{kind.samples[:-1]}>"
            )
        if others:
            log.warning(
                "WARNING: %d of %d files in %s are no %s, by their names, and are left out: %s",
                len(others),
                len(others) + len(paths),
                folder,
                kind.readable,
                counted(others),
            )
        if num_broken:
            log.warning("WARNING: %d %s in %s are links to nothing, and are left out", num_broken, kind.files, folder)
        if loose := sum(is_wanted(entry.name) and entry.is_file() for entry in folder.iterdir()):
            log.warning("WARNING: %d %s in %s lie in no folder of a class, and are left out", loose, kind.files, folder)
        return cls(folder, paths, labels, [path.stat().st_size for path in paths])

    def only(self, positions: Sequence[int]) -> "LabelledFiles":
        if len(positions) == len(self.paths):
            return self
        lists = ([values[i] for i in positions] for values in (self.paths, self.labels, self.sizes))
        return LabelledFiles(self.root, *lists)  # type: ignore[arg-type]

    def fingerprint(self) -> str:
        """One md5 of the names and sizes of all files, which is quick even where reading every file would be slow.

        Labels that do not stand in the names are part of it too.
        """
        lines = [
            f"{path.relative_to(self.root).as_posix()} {size}{f' {label}' if isinstance(label, list) else ''}"
            for path, size, label in zip(self.paths, self.sizes, self.labels, strict=True)
        ]
        content = "\n".join(lines).encode(errors="backslashreplace")  # a file name may be bytes that are not valid text
        return hashlib.md5(content, usedforsecurity=False).hexdigest()


def find_files(root: Path, kind: FileKind) -> tuple[tuple[str, ...], dict[str, LabelledFiles]]:
    """The names of the classes, and the files of each split that has a folder, at least those of "train".

    Raises:
        UserError: if the folder is not laid out like that.
    """
    folders = _folders_of_splits(root, kind)
    class_names = _names_of_classes(folders["train"], kind)
    return class_names, {split: LabelledFiles.below(folder, class_names, kind) for split, folder in folders.items()}


def check_fractions(**fractions: float) -> None:
    """Raise UserError for a share of the training samples that is no share, or more than half."""
    for name, fraction in fractions.items():
        if not 0 < fraction <= 0.5:
            raise UserError(f"{name} must be greater than 0 and at most 0.5, got {fraction}")


def whole_splits(
    root: Path,
    kind: FileKind,
    class_names: Sequence[str],
    files: Mapping[str, LabelledFiles],
    dataset_of: Callable[[list[Path]], Dataset[Any]],
    val_fraction: float,
    test_fraction: float,
) -> Splits:
    """The splits of files as find_files finds them; one that has no folder is cut off the training samples.

    Args:
        dataset_of: makes of files what reads them when they are needed.
        val_fraction, test_fraction: of the training samples, for a split without a folder.
    """
    samples = {split: LazySamples.from_dataset(dataset_of(f.paths), f.labels) for split, f in files.items()}
    _, training = samples["train"].split(0)
    test = samples.get("test")
    if test is None:
        test, training = training.split(max(1, round(test_fraction * len(training))))
    validation = samples.get("val")
    if validation is None:
        validation, training = training.split(max(1, round(val_fraction * len(training))))
    return Splits(
        dataset=printable(root.name) or kind.samples,
        class_names=tuple(map(printable, class_names)),
        training=training,
        validation=validation,
        test=test,
        checksums={split: found.fingerprint() for split, found in files.items()},
    )


def _folders_of_splits(root: Path, kind: FileKind) -> dict[str, Path]:
    """The folder of each split, or only the root if it holds the class folders itself."""
    # only: workbench
    if root.is_file():
        raise UserError(
            f"{root} is a file, and data.root= names a folder with a sub-folder of {kind.samples} for each class; "
            f"{convert_command(root)} makes arrays of it for data=npz"
        )
    # end only
    if not root.is_dir():
        raise DataMissing(
            f"there is no folder {root}; data.root= names one with a sub-folder of {kind.samples} for each class"
            f"{_similar_folder(root)}"
        )
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
    for split in ("val", "test"):
        if split in found and not _visible_folders(found[split]) and any(files_below(found[split])):
            log.warning(
                "WARNING: %s has no folders of classes, so it cannot be the %s split: a part of the training %s is "
                "taken instead",
                found.pop(split),
                split,
                kind.samples,
            )
    if others:
        log.warning("WARNING: %s has splits, so these folders are not used: %s", root, ", ".join(others))
    return found


def _names_of_classes(folder: Path, kind: FileKind) -> tuple[str, ...]:
    """The names of the class folders, with numbers sorted by their values."""
    names = [entry.name for entry in _visible_folders(folder)]
    if len(names) < 2:
        found = f"only {names[0]!r}" if names else "none"
        hint = ""
        if not names and any(kind.accepts(entry.name) for entry in folder.iterdir()):
            beside = [entry.name for entry in _visible_folders(folder.parent)]
            if len(beside) > 1:
                listed = ", ".join(beside[:_NUM_NAMED]) + " …" * (len(beside) > _NUM_NAMED)
                raise UserError(
                    f"{folder} holds {kind.samples} and no class folders; did you mean data.root={folder.parent}, "
                    f"which has the folders {listed}?"
                )
        # only: workbench
        hint = "; if a table or the files' names tell the classes, python scripts/convert.py makes such folders"
        # end only
        raise UserError(f"expected at least two class folders in {folder}, each with {kind.samples}, got {found}{hint}")
    for name in names:
        if next(files_below(folder / name), None) is None:
            raise UserError(f"class folder {folder / name} is empty; fill it or remove it")
    return tuple(sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)))


def _similar_folder(root: Path) -> str:
    """A question that names the folder of the most similar name beside a missing one, or nothing."""
    if not root.parent.is_dir():
        return ""
    found = nearest(root.name, [entry.name for entry in _visible_folders(root.parent)])
    return f"; did you mean {root.with_name(found)}?" if found else ""


def _visible_folders(folder: Path) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not is_hidden(entry.name)]
