"""The time that a step takes above the same step in a bare loop; a small network shows a cost that all of them pay."""

from functools import partial

import pandas as pd

from cnnlab.workbench.benchmark import figures, variants
from cnnlab.workbench.benchmark.measuring import Cell, Settings
from cnnlab.workbench.benchmark.report import Aim, aims, per_repeat, section, spread

TITLE = "Microseconds per step of the bare loop, and what the others take more"
VARIANTS = ("bare", "barebones", "lightning", "template")
_AIMS = {"lightning": 400.0, "template": 150.0}  # µs at batch 32
_SHARE_AIM = 5.0  # % of tinyvgg's bare step from batch 128 on


def cells(settings: Settings) -> list[Cell]:
    device = settings.devices[0]
    return [
        Cell(
            {"device": device, "model": model, "batch_size": batch_size},
            partial(variants.measure, settings, device, VARIANTS, [f"model={model}", f"data.batch_size={batch_size}"]),
        )
        for model in settings.models_or("linear", "tinyvgg")
        for batch_size in settings.batch_sizes_or(32, 64, 128, 256, 512)
    ]


def above(cell: pd.DataFrame) -> pd.DataFrame:
    """Microseconds above the bare loop, one column per variant."""
    micros = 1e6 * per_repeat(cell, "per_step")
    return micros[[name for name in VARIANTS[1:] if name in micros]].sub(micros["bare"], axis=0)


def share_above(cell: pd.DataFrame) -> pd.DataFrame:
    """The same in percent of the bare step."""
    return above(cell).div(1e4 * per_repeat(cell, "per_step")["bare"], axis=0)


def as_markdown(rows: pd.DataFrame) -> str:
    lines = []
    for (device, model, batch_size), cell in rows.groupby(["device", "model", "batch_size"]):
        more, share = above(cell), share_above(cell)["template"]
        wanted = [Aim(name, "≤", limit, " µs", more[name].median()) for name, limit in _AIMS.items() if name in more]
        wanted = wanted if batch_size == 32 else []
        if model == "tinyvgg" and batch_size >= 128:
            wanted.append(Aim("template", "≤", _SHARE_AIM, " %", share.median()))
        bare = spread(1e6 * per_repeat(cell, "per_step")["bare"])
        line = {"device": device, "model": model, "batch size": batch_size, "bare, µs": bare}
        line |= {f"{name}, µs more": spread(more[name]) for name in more}
        lines.append(line | {"template, % more": spread(share, 1), "aim": aims(*wanted)})
    return section(TITLE, lines)


def draw(rows: pd.DataFrame) -> bytes:
    panels = []
    for model, some in rows.groupby("model"):
        unit, values, aimed = "µs", above, {f"{name}: {limit:g} at 32": limit for name, limit in _AIMS.items()}
        if model != "linear":  # microseconds of a long step are lost in its noise
            unit, values, aimed = "%", share_above, {f"template: {_SHARE_AIM:g} from 128 on": _SHARE_AIM}
        over_size = figures.values_over(some, "batch_size", values)
        label = f"{unit} of a step above the bare loop"
        panels.append(figures.Panel(model, "batch size", label, over_size, log_y=False, aims=aimed))
    return figures.draw(panels, columns=min(2, len(panels)))
