"""What a grid of runs, as in `-m data.batch_size=32,128`, says on the terminal: settings of each run, a last table."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from cnnlab.colours import coloured
from cnnlab.direction import direction
from cnnlab.errors import UserError
from cnnlab.notation import aligned, shown_metric, shown_seconds
from cnnlab.overrides import as_typed, parsed
from cnnlab.runs.commands import script, short_path
from cnnlab.runs.json_files import read_json

# The logger with which Hydra announces the jobs of a grid.
_LAUNCHER = "hydra._internal.core_plugins.basic_launcher"


class Job(NamedTuple):
    """A run of a grid.

    Attributes:
        folder: its run folder.
        overrides: its whole command line.
        monitor, mode: the metric by which it is judged, and its direction if the user has given one.
    """

    folder: Path
    overrides: Sequence[str]
    monitor: str
    mode: str | None


class ToldOnce(logging.Filter):
    """Keeps out of the terminal what a grid of runs has already said, and what its table says at the end.

    A log record with in_grid="once" or a warning is shown for the first run whose text it is, a record with
    in_grid="never" for none. The log file of each run holds everything. A single run is not affected.
    """

    told: ClassVar[set[str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
            return True
        wanted = getattr(record, "in_grid", "once" if record.levelno >= logging.WARNING else "always")
        text = record.getMessage()
        is_shown = wanted == "always" or (wanted == "once" and text not in self.told)
        self.told.add(text)
        return is_shown


@contextmanager
def announced(arguments: Sequence[str]) -> Iterator[None]:
    """Announce each run of a grid with the settings by which it differs, as they were typed.

    Args:
        arguments: the command line. What stands in it word for word is the same for all runs.
    """
    launcher, number = logging.getLogger(_LAUNCHER), 0

    def tell(record: logging.LogRecord) -> bool:
        nonlocal number
        text = record.getMessage()
        if found := re.match(r"Launching (\d+) jobs", text):
            number = int(found[1])
            return False
        if found := re.match(r"\s*#(\d+) : (.*)", text):
            varied = " ".join(_varied(found[2].split(" "), arguments))
            print(f"\n{coloured(f'run {int(found[1]) + 1} of {number}', 'bold')}  {varied}", flush=True)
            return False
        return True

    ToldOnce.told.clear()
    launcher.addFilter(tell)
    try:
        yield
    finally:
        launcher.removeFilter(tell)


def grid_table(jobs: Sequence[Job], arguments: Sequence[str]) -> str:
    """Return one row for each run of a grid: what was varied, the score on the validation data, and the seconds.

    It is "" for commands whose jobs leave no scores. There are no test scores, for a choice between runs must not look
    at them.
    """
    results = [read_json(job.folder / "metrics.json") for job in jobs]
    if not any(job.monitor in result for job, result in zip(jobs, results, strict=True)):
        return ""
    settings = [parsed(_varied(job.overrides, arguments)) for job in jobs]
    keys = list(dict.fromkeys(key for row in settings for key in row))
    monitors = list(dict.fromkeys(job.monitor for job in jobs))
    rows = [["run", *keys, *monitors, "seconds"]]
    for number, (job, row, result) in enumerate(zip(jobs, settings, results, strict=True), start=1):
        scores = [shown_metric(name, result.get(name)) if name == job.monitor else "" for name in monitors]
        seconds = shown_seconds(result["train_seconds"]) if result else "failed"
        rows.append([str(number), *(row.get(key, "") for key in keys), *scores, seconds])
    header, *lines = aligned(rows).splitlines()
    best = _best(jobs, results) if len(monitors) == 1 else None
    shown = [coloured(line, "green") if number == best else line for number, line in enumerate(lines)]
    if best is not None:
        shown += ["", f"best: run {best + 1}, {short_path(jobs[best].folder)}"]
    shown.append("Test scores are not shown: choose first, by validation; then look at one run's.")
    # only: workbench
    compare = script("scripts/compare.py", [short_path(jobs[0].folder.absolute().parent)])
    shown += ["", coloured("What next?", "bold"), f"  {compare}"]
    # end only
    return "\n".join(["", coloured(header, "dim"), *shown])


def _varied(overrides: Iterable[str], arguments: Sequence[str]) -> list[str]:
    return [override for override in as_typed(overrides) if override not in arguments]


def _best(jobs: Sequence[Job], results: Sequence[dict[str, float]]) -> int | None:
    """Return the position of the run with the best score; None if none has one or the direction is not known."""
    try:
        sign = 1 if direction(jobs[0].monitor, jobs[0].mode) == "max" else -1
    except UserError:
        return None
    scores = {i: sign * value for i, result in enumerate(results) if (value := result.get(jobs[0].monitor)) is not None}
    return max(scores, key=scores.__getitem__, default=None)
