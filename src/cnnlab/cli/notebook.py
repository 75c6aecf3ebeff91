"""Training from Python, for example from a notebook, with the overrides of the command line."""

import logging
import runpy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from cnnlab.cli.command import Command
from cnnlab.errors import Interrupted, UserError
from cnnlab.overrides import value_of
from cnnlab.runs.json_files import read_json

_SCRIPT = Path(__file__).resolve().parents[3] / "train.py"


class Trained(NamedTuple):
    """The results of a run.

    Attributes:
        metrics: the content of metrics.json.
        folder: the run folder.
    """

    metrics: dict[str, Any]
    folder: Path


def train(overrides: Sequence[str] = ()) -> Trained:
    """Run `python train.py <overrides>` in this process.

    Raises:
        UserError: for bad input, in one line.
        KeyboardInterrupt: when stopped, with the command that continues the run.
    """
    given = [str(override) for override in overrides]
    if isinstance(overrides, str):
        raise UserError(f'overrides must be a list like ["model=tinyvgg", "seed=1"], got {overrides!r}')
    if any(word.startswith("-") or value_of("sweep", [word]) for word in given):
        raise UserError(
            f"cnnlab.train makes one run of overrides like model=tinyvgg, got {' '.join(given)}; "
            "for several runs call it in a loop, or use python train.py -m …"
        )
    if not _SCRIPT.is_file():  # it lies beside src and not in the package
        raise UserError(f"there is no {_SCRIPT}: install the project's folder in place, with pip install -e .")
    main: Command = runpy.run_path(str(_SCRIPT), run_name=_SCRIPT.stem)["main"]
    with _hydra_and_logging_restored():
        try:
            folder = main.start([str(_SCRIPT), *given])
        except Interrupted as stop:
            raise KeyboardInterrupt(str(stop)) from None
        except Exception as error:
            raise UserError(main.in_one_line(error)) from error
    return Trained(read_json(folder / "metrics.json"), folder.absolute())


@contextmanager
def _hydra_and_logging_restored() -> Iterator[None]:
    """Undo Hydra's global state and logging setup, which assume that the process does nothing else."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
