"""Reports errors during training in one line that says what to do, and keeps them in the run folder."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from cnnlab.errors import Interrupted, UserError
from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.run_record import resume_command

log = logging.getLogger(__name__)


@contextmanager
def explained(run_dir: Path, batch_size: int, rate: str) -> Iterator[None]:
    """Turn errors of libraries into UserErrors, and write error.txt. A run that the user stops gets no error.txt.

    Args:
        batch_size: of the run, for the advice after it has run out of memory.
        rate: the learning rate that suits half of it, as an override.
    """
    for name in ("error.txt", "traceback.txt"):
        (run_dir / name).unlink(missing_ok=True)
    try:
        with _translated(batch_size, rate):
            yield
    except UserError as error:
        write_atomically(run_dir / "error.txt", f"{error}\n".encode())
        raise
    except Interrupted as stop:
        stop.advice = "no epoch was finished, so there is nothing to resume"
        if (run_dir / "checkpoints/last.ckpt").is_file():
            stop.advice = f"continue with: {resume_command(run_dir)}"
        if stop.signum not in (signal.SIGINT, signal.SIGTERM):
            log.info(stop)  # the terminal is closed, so the message goes to the run's log
        raise


@contextmanager
def _translated(batch_size: int, rate: str) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"out of GPU memory with data.batch_size={batch_size}; try data.batch_size={max(1, batch_size // 2)} "
            f"{rate}".rstrip()
        ) from error
    except MisconfigurationException as error:
        raise UserError(" ".join(str(error).split())) from error
