"""Which pictures are meant by a file, a folder, a glob or a zip archive, one after the other."""

import glob
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from cnnlab.errors import UserError, did_you_mean
from cnnlab.notation import printable

_LARGEST_MEMBER = 2**28  # bytes: an archive can claim that a few bytes unpack to a disk full


@dataclass(frozen=True)
class Pictures:
    """Names of pictures in natural order (2 before 10), and what reads them.

    Attributes:
        folder: where they lie; or the zip archive.
        names: relative to it.
        num_others: files that are no pictures by their names, and so were left out.
    """

    folder: Path
    names: list[str]
    num_others: int = 0

    def __len__(self) -> int:
        return len(self.names)

    def contents(self) -> Iterator[tuple[str, Path | bytes | UserError]]:
        """Each name, printable, with its path or content; or, of an archive's damaged member, what is wrong with it."""
        if self.folder.is_dir():
            yield from ((printable(name), self.folder / name) for name in self.names)
            return
        with zipfile.ZipFile(self.folder) as archive:
            for name in self.names:
                yield printable(name), _unpacked(archive, name)


def find(images: str) -> Pictures:
    """The pictures that a user means: one file, all in a folder and below, those of a glob, or a zip archive's.

    In folders and archives only names count that Pillow knows the ending of; hidden files do not.

    Raises:
        UserError: if there are none.
    """
    path = Path(images).expanduser()
    if path.is_dir():
        found = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
        return _chosen(path.absolute(), found)
    if path.is_file() and zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                return _chosen(
                    path.absolute(), [member.filename for member in archive.infolist() if not member.is_dir()]
                )
        except zipfile.BadZipFile as error:
            raise UserError(f"images: {path} is a damaged zip archive ({error})") from error
    if path.is_file():
        return Pictures(path.absolute().parent, [path.name])
    if glob.has_magic(images):
        matches = [Path(match) for match in glob.glob(str(path), recursive=True)]
        files = [match.absolute() for match in matches if match.is_file()]
        if not files:
            raise UserError(f"images: no file matches {images}")
        folder = Path(os.path.commonpath([file.parent for file in files]))
        return Pictures(folder, sorted((file.relative_to(folder).as_posix() for file in files), key=_natural))
    siblings = [entry.name for entry in path.absolute().parent.iterdir()] if path.absolute().parent.is_dir() else []
    raise UserError(
        f"images: there is no {path}{did_you_mean(path.name, siblings)} (expected a file, a folder, a glob or a zip)"
    )


def _chosen(folder: Path, names: list[str]) -> Pictures:
    endings = set(Image.registered_extensions())
    visible = [name for name in names if not any(part.startswith((".", "__")) for part in PurePosixPath(name).parts)]
    chosen = [name for name in visible if PurePosixPath(name).suffix.lower() in endings]
    if not chosen:
        known = "PNG, JPEG, WebP, GIF, TIFF, BMP, …"
        raise UserError(f"images: {folder} holds no pictures, only {len(visible)} other files (expected {known})")
    return Pictures(folder, sorted(chosen, key=_natural), len(visible) - len(chosen))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Numbers by their value, other text by its letters."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def _unpacked(archive: zipfile.ZipFile, name: str) -> bytes | UserError:
    if archive.getinfo(name).file_size > _LARGEST_MEMBER:
        return UserError(f"{name} would unpack to more than {_LARGEST_MEMBER // 2**20} MiB")
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, ValueError) as error:
        return UserError(f"{name} cannot be unpacked ({' '.join(str(error).split())})")
