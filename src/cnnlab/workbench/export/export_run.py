"""Writes a run's network in another format, and checks that the file computes the same."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from cnnlab.errors import UserError
from cnnlab.saved_run import SavedModel
from cnnlab.workbench.export.check import Agreement, compare
from cnnlab.workbench.export.formats import FORMATS, Format
from cnnlab.workbench.export.metadata import describe


@dataclass(frozen=True)
class Exported:
    """A file that was made.

    Attributes:
        path: the file.
        num_bytes: its size.
        agreement: of its outputs with the original's.
    """

    path: Path
    num_bytes: int
    agreement: Agreement


def export_run(saved: SavedModel, to: Format, path: Path, inputs: Tensor, tolerance: float) -> Exported:
    """Write the network to `path`, and keep the file only if what is loaded from it gives the original's outputs.

    Args:
        inputs: samples (N, C, *spatial) to compare with, as stored.
        tolerance: largest difference of an output that is allowed, times the largest output if that is above 1:
            prices in the hundred thousands have no four decimal places in float32.

    Raises:
        UserError: if the network cannot be exported or the outputs differ; a file that was there before stays.
        OSError: if the file cannot be written.
    """
    content = to.pack(saved, describe(saved, to.normalises))
    with _replacing(path) as temporary:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        agreement = compare(saved, to.load(temporary, saved), inputs)
        allowed = tolerance * max(1.0, agreement.largest)
        if not agreement.max_difference <= allowed:  # NaN is refused too
            raise UserError(
                f"refused: the outputs of the exported file and of the run's network differ by up to "
                f"{agreement.max_difference:.2g}, {allowed:.2g} is allowed (tolerance=); no file was written"
            )
    return Exported(path, len(content), agreement)


def path_of(run_dir: Path, to: Format, out: str | None) -> Path:
    """The file to write: in the run's folder `export`, or the file or folder that `out` names.

    Raises:
        UserError: if `out` has the suffix of another format.
    """
    if out is None:
        return run_dir / "export" / f"model{to.suffix}"
    path = Path(out).expanduser()
    if path.suffix == to.suffix and not path.is_dir():
        return path
    for name, other in FORMATS.items():
        if path.suffix == other.suffix and not path.is_dir():
            raise UserError(f"out: {path.name} is for format={name}; expected a folder or a name in {to.suffix}")
    return path / f"model{to.suffix}"


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file in `path`'s folder that takes its place in the end, or else leaves nothing, no folder either."""
    new_folders = [folder for folder in path.parents if not folder.exists()]
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
            for folder in new_folders:
                folder.rmdir()  # refuses to remove one with a file in it
