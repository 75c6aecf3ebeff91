"""Reports errors during training in one line that says what to do, and keeps them in the run folder."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from yaml import YAMLError, safe_load

from cnnlab.errors import Interrupted, UserError
from cnnlab.runs import ranks
from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.run_record import resume_command

log = logging.getLogger(__name__)

_CAUSE, _TOLD = "error.txt", ".told"


@contextmanager
def explained(run_dir: Path, batch_size: int, rate: str, is_first: bool = True) -> Iterator[None]:
    """Turn errors of libraries into UserErrors, and write error.txt. A run that the user stops gets no error.txt.

    Args:
        batch_size: of the run, for the advice after it has run out of memory.
        rate: the learning rate that suits half of it, as an override.
        is_first: whether this is the run's first process; the others leave all this to it.
    """
    if not is_first:
        yield
        return
    for name in (_CAUSE, "traceback.txt", _TOLD):
        (run_dir / name).unlink(missing_ok=True)
    try:
        with _translated(batch_size, rate):
            yield
    except Exception as error:
        claim_telling(run_dir)
        if isinstance(error, UserError):
            leave_cause(run_dir, str(error))
        raise
    except Interrupted as stop:
        claim_telling(run_dir)
        stop.advice = advice(run_dir)
        if stop.signum not in (signal.SIGINT, signal.SIGTERM):
            log.info(stop)  # the terminal is closed, so the message goes to the run's log
        raise


def advice(run_dir: Path) -> str:
    """Return the command that continues a run that has ended too early, or say that there is none."""
    if (run_dir / "checkpoints/last.ckpt").is_file():
        return f"continue with: {resume_command(run_dir)}"
    return "no epoch was finished, so there is nothing to resume"


def with_advice(cause: str, run_dir: Path) -> str:
    """Add the command that continues the run; a trial, which its search runs again, needs none."""
    return cause if _is_trial(run_dir) else f"{cause}; {advice(run_dir)}"


def _is_trial(run_dir: Path) -> bool:
    """Return whether this process runs a trial: it works in the trial's folder, where Hydra has noted the search.

    The further processes of a run ask too, and know no more of a search than that.
    """
    if run_dir.resolve() != Path.cwd():
        return False
    with suppress(OSError, YAMLError, KeyError, TypeError):
        noted = safe_load((run_dir / ".hydra/hydra.yaml").read_text(encoding="utf-8"))
        return bool(noted["hydra"]["mode"] == "MULTIRUN")
    return False


def leave_cause(run_dir: Path, line: str) -> None:
    """Write error.txt, in which also the other processes of the run find what has ended it."""
    write_atomically(run_dir / _CAUSE, f"{line}\n".encode())


def cause(run_dir: Path) -> str | None:
    """Return what a process of this run has left in error.txt; None if there is nothing."""
    with suppress(OSError):
        return (run_dir / _CAUSE).read_text(encoding="utf-8").strip()
    return None


def claim_telling(run_dir: Path) -> bool:
    """Return whether this process is to tell the user how the run has ended: only the first that asks is.

    Only processes that a launcher has started need to agree: others end before the first one does.
    """
    if ranks.launcher() is None and ranks.rank() == 0:
        return True
    try:
        (run_dir / _TOLD).touch(exist_ok=False)
    except OSError:
        return False
    return True


def is_told(run_dir: Path) -> bool:
    return (run_dir / _TOLD).exists()


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
