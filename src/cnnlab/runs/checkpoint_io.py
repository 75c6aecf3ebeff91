"""Reads and writes checkpoints that stay whole when the process is killed and cannot run code when they are loaded."""

import io
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write to a temporary file beside the target, flush it to the disk, then replace the target in one step.

    Loads tensors and plain containers only (torch's weights_only).
    """

    def __init__(self) -> None:
        super().__init__()
        self._proven_loadable = False

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Save a checkpoint. The first one of a run is read back, so that one that cannot be loaded is noticed at once.

        Raises:
            OSError: if the disk is full; the previous file stays intact.
            UserError: if the checkpoint holds more than tensors and plain containers.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        if not self._proven_loadable:
            _load(buffer, path)
            self._proven_loadable = True
        with buffer.getbuffer() as content:
            write_atomically(Path(path), content)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load, whatever `weights_only` says, without running code.

        Raises:
            UserError: if the file is missing, damaged or needs code to be loaded.
        """
        return load_checkpoint(path)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load a checkpoint's tensors and plain containers onto the CPU.

    Raises:
        UserError: if the file is missing, damaged or needs code to be loaded.
    """
    try:
        buffer = io.BytesIO(Path(path).read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"there is no checkpoint {path}") from error
    return _load(buffer, path)


def _load(buffer: io.BytesIO, path: str | Path) -> dict[str, Any]:
    buffer.seek(0)
    try:
        checkpoint: dict[str, Any] = torch.load(buffer, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is refused: it is damaged or holds more than tensors and plain containers, "
            f"which would need code to be run ({_named_in(error)})"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged and cannot be loaded ({_first_line(error)})") from error
    return checkpoint


def _named_in(error: pickle.UnpicklingError) -> str:
    """What a file names beside tensors, without torch's advice to load it all the same."""
    named = re.search(r"GLOBAL (\S+)", str(error))
    return f"it names {named[1]}" if named else _first_line(error)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
