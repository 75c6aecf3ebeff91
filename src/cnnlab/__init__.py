"""Convolutional networks with PyTorch Lightning and Hydra; from Python, `train` makes a run and `load_run` reads one.

This module stays free of heavy imports, so that `python train.py --help` answers at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cnnlab.speed.lazy_imports import postpone

if TYPE_CHECKING:
    from cnnlab.cli.notebook import Trained
    from cnnlab.saved_run import SavedRun

__all__ = ["load_run", "train"]

postpone()


def train(overrides: Sequence[str] = ()) -> "Trained":
    """Run `python train.py <overrides>` in this process and return its metrics and its folder."""
    from cnnlab.cli.notebook import train

    return train(overrides)


def load_run(run: str | Path) -> "SavedRun":
    """Return the model (best epoch, eval mode), datamodule and config of a run folder, or of the "latest" run."""
    from cnnlab.speed.threads import wait_briefly

    wait_briefly()  # before torch is loaded
    from cnnlab.saved_run import load_run

    return load_run(run)
