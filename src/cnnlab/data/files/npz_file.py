"""Reads NumPy's .npz files: names, shapes and types without reading the arrays, and never by unpickling."""

import math
import shlex  # only: workbench
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from cnnlab.data.files.memory import require_memory
from cnnlab.errors import DataMissing, UserError

Array = NDArray[Any]

_NUMBERS, _TEXT = "buif", "US"
_LOCAL_HEADER = struct.Struct("<26xHH")  # the last two fields: lengths of name and extra field


# only: workbench
def convert_command(path: Path) -> str:
    """The command that makes an npz file for data=npz of a file of another kind."""
    return f"python scripts/convert.py {shlex.quote(str(path))} {shlex.quote(path.name.partition('.')[0])}.npz"


# end only
class NpzFile:
    """An .npz file with its arrays by name.

    Raises:
        UserError: if the file is missing, damaged or no npz file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise DataMissing(f"there is no file {path}; data.path= names an npz file")
        try:
            with zipfile.ZipFile(path) as archive:
                members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        except (zipfile.BadZipFile, OSError) as error:
            hint = ""
            # only: workbench
            if path.suffix != ".npz":
                hint = f"; {convert_command(path)} makes one of it"
            # end only
            raise UserError(f"{path} is not an npz file, or is damaged ({error}){hint}") from error
        self._members = {info.filename.removesuffix(".npy"): info for info in members}
        self.names = list(self._members)

    def checksums(self) -> dict[str, str]:
        """Return the CRC-32 of every array, taken from the file's directory."""
        return {name: f"{info.CRC:08x}" for name, info in self._members.items()}

    def header(self, name: str) -> tuple[tuple[int, ...], "np.dtype[Any]"]:
        """Return shape and type of an array, without reading it."""
        shape, _, dtype, _ = self._header(name)
        return shape, dtype

    def read_text(self, name: str) -> Array:
        """Read an array of text, or of bytes that are text. See read."""
        return self.read(name, _TEXT)

    def read(self, name: str, kinds: str = _NUMBERS) -> Array:
        """Read an array into memory.

        Args:
            kinds: letters of the kinds of types that are accepted, as NumPy names them.

        Raises:
            UserError: for Python objects, which only unpickling could read, other types, and arrays larger than the
                free memory.
        """
        self.check_type(name, kinds)
        shape, dtype = self.header(name)
        require_memory(math.prod(shape) * dtype.itemsize, name)
        try:
            with np.load(self.path, allow_pickle=False) as file:
                array: Array = file[name]
        except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError) as error:
            raise UserError(f"{name} in {self.path} is damaged ({error})") from error
        return array

    def map(self, name: str) -> "MappedArray":
        """Return an array that stays on the disk.

        Raises:
            UserError: if it is compressed.
        """
        self.check_type(name)
        shape, is_fortran, dtype, header_size = self._header(name)
        info = self._members[name]
        if info.compress_type != zipfile.ZIP_STORED or is_fortran:
            how = "in Fortran's order" if is_fortran else "compressed"
            raise UserError(
                f"{name} in {self.path} is {how}, so it can only be read as a whole; save it with "
                "numpy.savez (not savez_compressed) in C order, or use data.in_memory=true"
            )
        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            name_size, extra_size = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        offset = info.header_offset + _LOCAL_HEADER.size + name_size + extra_size + header_size
        return MappedArray(self.path, offset, shape, dtype)

    def check_type(self, name: str, kinds: str = _NUMBERS) -> None:
        _, dtype = self.header(name)
        if dtype.hasobject:
            raise UserError(
                f"{name} in {self.path} holds Python objects, which only unpickling, and so running code, could read; "
                "save it as an array of numbers"
            )
        if dtype.kind not in kinds:
            what = "text" if kinds == _TEXT else "numbers"
            raise UserError(f"{name} in {self.path} must hold {what}, got {dtype}")

    def _header(self, name: str) -> tuple[tuple[int, ...], bool, "np.dtype[Any]", int]:
        """Return shape, whether in Fortran's order, type, and the size of the header in bytes."""
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self._members[name]) as file:
                version = npy.read_magic(file)
                read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
                shape, is_fortran, dtype = read(file)
                return shape, bool(is_fortran), dtype, file.tell()
        except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError) as error:
            raise UserError(f"{name} in {self.path} is damaged ({error})") from error


class MappedArray:
    """An array in a file, mapped into memory by each process that reads from it."""

    def __init__(self, path: Path, offset: int, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> None:
        self.path, self.offset, self.shape, self.dtype = path, offset, shape, dtype
        self._mapped: Array | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> Array:
        if self._mapped is None:
            self._mapped = np.memmap(self.path, self.dtype, "r", self.offset, self.shape)
        return np.array(self._mapped[index])

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mapping out: pickling it for another process would read the whole array."""
        return self.__dict__ | {"_mapped": None}
