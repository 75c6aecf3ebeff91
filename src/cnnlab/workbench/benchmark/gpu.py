"""Everything about one CUDA GPU in one call: the most valuable cells first, so that any budget gives an answer."""

from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd

from cnnlab.workbench.benchmark import (
    batch_size,
    figures,
    gpu_choices,
    gpu_compile,
    gpu_memory,
    gpu_search,  # only: sweep
    gpu_steps,
    gpu_warm_runs,
)
from cnnlab.workbench.benchmark.measuring import Cell, Settings
from cnnlab.workbench.benchmark.report import rates

_KINDS: Mapping[str, Callable[[pd.DataFrame], str]] = {
    gpu_steps.KIND: gpu_steps.as_markdown,
    gpu_choices.DATA: gpu_choices.as_markdown,
    gpu_choices.PRECISION: gpu_choices.as_markdown,
    gpu_compile.KIND: gpu_compile.as_markdown,
    gpu_warm_runs.KIND: gpu_warm_runs.as_markdown,
    batch_size.BY_MODEL: batch_size.as_markdown,
    gpu_search.KIND: gpu_search.as_markdown,  # only: sweep
    gpu_memory.KIND: gpu_memory.as_markdown,
}


def cells(settings: Settings) -> list[Cell]:
    """Of every question the cells that answer it, then those that answer it more fully, the long searches last."""
    device = settings.devices[0]
    steps, searches = gpu_steps.cells(settings, device), list[Cell]()
    searches = gpu_search.cells(settings, device)  # only: sweep
    compiled, sizes = gpu_compile.cells(settings, device), _by_model_size(settings)
    first = [
        (steps, 2),
        (gpu_warm_runs.cells(settings, device), 5),
        (searches, 2),
        (gpu_choices.cells(settings, device, gpu_choices.PRECISION), 1),
        (gpu_choices.cells(settings, device, gpu_choices.DATA), 1),
        (compiled, 4),
        (sizes, 8),
        (gpu_memory.cells(settings, device), 1),
    ]
    fuller = sorted(first, key=lambda question: question[0] is searches)
    return [cell for some, number in first for cell in some[:number]] + [
        cell for some, number in fuller for cell in some[number:]
    ]


def _by_model_size(settings: Settings) -> list[Cell]:
    """GPU and CPU by the work of a step: that of the smallest network and batch first."""
    widths = (10,) if settings.smoke else (10, 64, 256)
    return [cell for width in widths for cell in _both_devices(settings, width)]


def _both_devices(settings: Settings, width: int) -> list[Cell]:
    """The cells of both devices one after the other, at the small batch first."""
    return sorted(batch_size.by_model_size(settings, [width], []), key=lambda cell: int(cell.keys["batch_size"]))


def as_markdown(rows: pd.DataFrame) -> str:
    of_kind = dict(iter(rows.groupby("kind")))
    return "".join(shown(_with_whole_sizes(of_kind[kind])) for kind, shown in _KINDS.items() if kind in of_kind)


def _with_whole_sizes(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of kinds without a batch size have made it a fraction for all."""
    return rows.astype({"batch_size": int}) if rows["batch_size"].notna().all() else rows


def draw(rows: pd.DataFrame) -> bytes:
    steps = rows[(rows["kind"] == gpu_steps.KIND) & (rows.get("model") == "tinyvgg")]
    if steps.empty:
        return figures.draw([], columns=2)
    over_size = partial(figures.values_over, steps.replace({"variant": gpu_steps.NAMES}), "batch_size")
    panels = [
        figures.Panel("a training step of TinyVGG", "batch size", "µs", over_size(gpu_steps.micros)),
        figures.Panel("training TinyVGG", "batch size", "images/s", over_size(rates)),
    ]
    return figures.draw(panels, columns=2)
