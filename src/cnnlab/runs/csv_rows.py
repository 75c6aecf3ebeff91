"""Keeps the rows of a run that goes on, for Lightning's CSVLogger deletes what it finds."""

import csv
import io
import itertools
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from cnnlab.runs.atomic import write_atomically

_OF_A_STEP = "train/loss_step"  # in the rows whose step is the optimizer's; that of the others is the epoch


def keep_rows(logger: CSVLogger, steps_done: int) -> None:
    """Let a logger append to its file, from which the rows after the checkpoint are removed: they come again.

    Args:
        steps_done: training steps until the checkpoint from which the run goes on.
    """
    path = Path(logger.log_dir) / "metrics.csv"
    if rank_zero_only.rank != 0 or not path.is_file():  # type: ignore[attr-defined]
        return
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows, names = list(reader), list(reader.fieldnames or [])

    def belongs(row: Mapping[str, Any]) -> bool:
        is_whole = None not in row.values()  # unlike the last one of a run that was killed while it wrote
        return is_whole and not (row.get(_OF_A_STEP) and int(row["step"]) >= steps_done)

    content = io.StringIO(newline="")
    writer = csv.DictWriter(content, names)
    writer.writeheader()
    writer.writerows(itertools.takewhile(belongs, rows))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Experiment logs directory .* exists")
        experiment = logger.experiment  # whose making deletes the file
    write_atomically(path, content.getvalue().encode())
    experiment.metrics_keys = names
