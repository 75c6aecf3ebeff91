"""Images/s by batch size, device and size of the network."""

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from cnnlab.workbench.benchmark import figures, variants
from cnnlab.workbench.benchmark.measuring import Cell, Settings
from cnnlab.workbench.benchmark.report import rates, section, spread

VARIANTS = ("template", "fast")
_BATCH_SIZES = (32, 64, 128, 256, 512)
_BY_BATCH, BY_MODEL = "batch size", "model size"
_WIDTHS = (10, 32, 64, 128, 256)


def cells(settings: Settings) -> list[Cell]:
    sizes = settings.batch_sizes_or(*_BATCH_SIZES)
    by_batch = [
        Cell(
            {"kind": _BY_BATCH, "device": device, "model": "tinyvgg", "batch_size": batch_size},
            partial(variants.measure, settings, device, VARIANTS, ["model=tinyvgg", f"data.batch_size={batch_size}"]),
        )
        for device in settings.devices
        for batch_size in sizes
    ]
    if settings.smoke:
        return [*by_batch, *by_model_size(settings, _WIDTHS[:1], ())]
    return [*by_batch, *by_model_size(settings, _WIDTHS, ("resnet",))]


def by_model_size(settings: Settings, widths: Sequence[int], others: Sequence[str]) -> list[Cell]:
    """TinyVGG from narrow to wide, and other networks, at a small and a large batch."""
    models = {f"tinyvgg, {width} units": ["model=tinyvgg", f"model.hidden_units={width}"] for width in widths}
    models |= {model: [f"model={model}"] for model in others}
    return [
        Cell(
            {"kind": BY_MODEL, "device": device, "model": name, "batch_size": batch_size},
            partial(variants.measure, settings, device, ["template"], [*model, f"data.batch_size={batch_size}"]),
        )
        for device in settings.devices
        for name, model in models.items()
        for batch_size in settings.batch_sizes_or(32, 512)
    ]


def wins_from(ratios: Mapping[str, float]) -> str | None:
    """The name from which on every ratio is above 1, given in rising order; None if not even the last is."""
    names = list(ratios)
    return next((name for i, name in enumerate(names) if all(ratios[later] > 1 for later in names[i:])), None)


def as_markdown(rows: pd.DataFrame) -> str:
    of_kind = dict(iter(rows.groupby("kind")))
    text = ""
    if _BY_BATCH in of_kind:
        text += _throughput("Images/s of TinyVGG by batch size", of_kind[_BY_BATCH], "batch_size", "model")
    if BY_MODEL in of_kind:
        text += _throughput("Images/s by size of the network", of_kind[BY_MODEL], "model", "batch_size")
    return text


def _throughput(title: str, rows: pd.DataFrame, rising: str, fixed: str) -> str:
    """Images/s on each device; with two of them also from where on the first is the faster."""
    devices = sorted(set(rows["device"]), key=lambda device: device == "cpu")
    lines: list[dict[str, object]] = []
    verdicts = []
    for shared, some in rows.groupby(fixed):
        ratios = {}
        for value, cell in some.groupby(rising, sort=rising == "batch_size"):
            measured = {device: rates(on_device) for device, on_device in cell.groupby("device")}
            network, size = (value, shared) if rising == "model" else (shared, value)
            line: dict[str, object] = {"network": network, "batch size": size}
            line |= {
                f"{name} on {device}": spread(measured[device][name])
                for device in devices
                for name in VARIANTS
                if name in measured.get(device, ())
            }
            if len(measured) > 1:
                ratio = measured[devices[0]]["template"].median() / measured["cpu"]["template"].median()
                ratios[str(value)] = ratio
                line[f"{devices[0]} / cpu"] = f"{ratio:.1f}"
            lines.append(line)
        if ratios:
            where = wins_from(ratios)
            begins = f"from {rising.replace('_', ' ')} {where} on" if where else "nowhere"
            verdicts.append(f"{fixed.replace('_', ' ')} {shared}: {devices[0]} is faster than the CPU {begins}.")
    return section(title, lines) + ("\n".join(verdicts) + "\n\n" if verdicts else "")


def draw(rows: pd.DataFrame) -> bytes:
    kind, on_device = rows["kind"], " on " + rows["device"]
    width = rows["model"].str.extract(r"^tinyvgg, (\d+) units", expand=False).astype(float)
    by_batch = rows.assign(variant=rows["variant"] + on_device)[kind == _BY_BATCH]
    by_width = rows.assign(width=width, variant="batch " + rows["batch_size"].astype(str) + on_device)
    by_width = by_width[(kind == BY_MODEL) & width.notna()]

    wanted = [
        ("TinyVGG, 10 units", by_batch, "batch_size", "images/s", rates, True),
        ("TinyVGG by width", by_width, "width", "images/s", rates, True),
    ]
    labels = {"batch_size": "batch size", "width": "hidden units"}
    panels = [
        figures.Panel(title, labels[x], ylabel, figures.values_over(some, x, values), log_y)
        for title, some, x, ylabel, values, log_y in wanted
        if len(some)
    ]
    return figures.draw(panels, columns=min(2, len(panels)))
