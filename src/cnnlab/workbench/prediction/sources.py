"""Which files are meant by a file, a folder, a glob or a zip archive, one after the other."""

import glob
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Protocol

from cnnlab.data.files.picture_names import counted, files_below, is_hidden
from cnnlab.errors import UserError, did_you_mean, printable

_LARGEST_MEMBER = 2**28  # bytes: an archive can claim that a few bytes unpack to a disk full


class FileKind(Protocol):
    """What a search for files has to know of their reader, see reader.Reader."""

    what: ClassVar[str]
    formats: ClassVar[str]

    def accepts(self, name: str) -> bool: ...


@dataclass(frozen=True)
class Sources:
    """Names of files in natural order (2 before 10), and what reads them.

    Attributes:
        folder: where they lie; or the zip archive.
        names: relative to it.
        num_others: files that are of another kind by their names, and so were left out.
        kinds_of_others: how many of which kind, in words.
    """

    folder: Path
    names: list[str]
    num_others: int = 0
    kinds_of_others: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def contents(self) -> Iterator[tuple[str, Path | bytes | UserError]]:
        """Each name, as it can be printed, with its path or its content; or what is wrong with an archive's member."""
        if self.folder.is_dir():
            yield from ((printable(name), self.folder / name) for name in self.names)
            return
        with zipfile.ZipFile(self.folder) as archive:
            for name in self.names:
                yield printable(name), _unpacked(archive, name)


def find(inputs: str, reader: FileKind, key: str = "inputs") -> Sources:
    """The files that a user means: one, all in a folder and below, those of a glob, or a zip archive's.

    In folders and archives only names count that the reader accepts, and none that is hidden or the system's own.

    Args:
        key: by which they were named, for messages.

    Raises:
        UserError: if there are none.
    """
    path = Path(inputs).expanduser()
    if path.is_dir():
        found = [file.relative_to(path).as_posix() for file in files_below(path)]
        return _chosen(path.absolute(), found, reader, key)
    if path.is_file() and zipfile.is_zipfile(path) and not reader.accepts(path.name):  # an npz file is an archive too
        try:
            with zipfile.ZipFile(path) as archive:
                members = [member.filename for member in archive.infolist() if not member.is_dir()]
                return _chosen(path.absolute(), members, reader, key)
        except zipfile.BadZipFile as error:
            raise UserError(f"{key}: {path} is a damaged zip archive ({error})") from error
    if path.is_file():
        return Sources(path.absolute().parent, [path.name])
    if glob.has_magic(inputs):
        matches = [Path(match) for match in glob.glob(str(path), recursive=True)]
        if "**" in path.parts:  # whatever lies below, as of a folder
            depth = path.parts.index("**")
            matches = [match for match in matches if not any(map(is_hidden, match.parts[depth:]))]
        files = [match.absolute() for match in matches if match.is_file()]
        if not files:
            raise UserError(f"{key}: no file matches {inputs}")
        folder = Path(os.path.commonpath([file.parent for file in files]))
        return Sources(folder, sorted((file.relative_to(folder).as_posix() for file in files), key=_natural))
    siblings = [entry.name for entry in path.absolute().parent.iterdir()] if path.absolute().parent.is_dir() else []
    raise UserError(
        f"{key}: there is no {path}{did_you_mean(path.name, siblings)} (expected a file, a folder, a glob or a zip)"
    )


def _chosen(folder: Path, names: list[str], reader: FileKind, key: str) -> Sources:
    visible = [name for name in names if not any(is_hidden(part) for part in PurePosixPath(name).parts)]
    chosen = [name for name in visible if reader.accepts(name)]
    others = [name for name in visible if not reader.accepts(name)]
    kinds = counted(others)
    if not chosen:
        only = f"only {len(others)} other files{': ' + kinds if others else ''}"
        raise UserError(f"{key}: {folder} holds no {reader.what}, {only} (expected {reader.formats})")
    return Sources(folder, sorted(chosen, key=_natural), len(others), kinds)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Numbers by their value, of any length, other text by its letters."""
    parts = re.split(r"(\d+)", name.casefold())
    numbers = (part.lstrip("0") for part in parts)
    return [
        (1, len(number), number) if part.isdecimal() else (0, 0, part)
        for part, number in zip(parts, numbers, strict=True)
    ]


def _unpacked(archive: zipfile.ZipFile, name: str) -> bytes | UserError:
    if archive.getinfo(name).file_size > _LARGEST_MEMBER:
        return UserError(f"{printable(name)} would unpack to more than {_LARGEST_MEMBER // 2**20} MiB")
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, ValueError, zlib.error) as error:
        return UserError(f"{printable(name)} cannot be unpacked ({' '.join(str(error).split())})")
