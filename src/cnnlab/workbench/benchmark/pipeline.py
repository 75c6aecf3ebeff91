"""Images/s of reading alone: torchvision's way, sample by sample, against batches cut from tensors."""

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from torch.utils.data import DataLoader

from cnnlab.workbench.benchmark import figures
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings, take_turns
from cnnlab.workbench.benchmark.report import Aim, aims, by_repeat, section, spread
from cnnlab.workbench.benchmark.samples import Samples

if TYPE_CHECKING:
    import pandas as pd

TITLE = "Images/s of the data pipeline alone, from the samples in memory to normalised float32 batches on the device"
_KEYS = ["device", "augment", "batch_size"]
_AUGMENTS, _WORKERS = ("none", "shift", "affine"), (0, 2)
OURS = "ours"
AIM = 30.0


def cells(settings: Settings, devices: tuple[str, ...] | None = None) -> list[Cell]:
    augments = _AUGMENTS[:1] if settings.smoke else _AUGMENTS
    return [
        cell(settings, device, augment, batch_size)
        for device in devices or settings.devices
        for augment in augments
        for batch_size in settings.batch_sizes_or(32, 64, 128, 256, 512)
    ]


def cell(settings: Settings, device: str, augment: str, batch_size: int, **keys: str) -> Cell:
    values: dict[str, str | int | float] = {**keys, "device": device, "augment": augment, "batch_size": batch_size}
    return Cell(values, partial(measure, settings, device, augment, batch_size))


def measure(settings: Settings, device: str, augment: str, batch_size: int) -> list[Row]:
    bench = Bench([*settings.overrides, f"augment={augment}", f"data.batch_size={batch_size}"], device)
    workers = _WORKERS[:1] if settings.smoke else _WORKERS
    loops = {name_of(number): partial(per_sample, bench, number) for number in workers} | {OURS: partial(ours, bench)}
    # The permutation is drawn once a pass and batches are gathered several at a time: ours is timed over whole passes.
    rows = take_turns(loops, settings, max(1, bench.steps_per_epoch - 1), own_steps={OURS: bench.steps_per_epoch})
    return bench.described(rows, dict.fromkeys(loops, "32-true"))


def name_of(workers: int) -> str:
    return f"per sample, {workers} workers"


def per_sample(bench: Bench, workers: int, steps: int) -> float:
    """Seconds once the workers have started and brought a first batch."""
    samples = Samples(bench.data, bench.config.augment)
    batches = iter(DataLoader(samples, bench.batch_size, shuffle=True, num_workers=workers))
    next(batches)
    began = bench.clock()
    for inputs, labels in islice(batches, steps):
        inputs.to(bench.device), labels.to(bench.device)
    return bench.clock() - began


def ours(bench: Bench, steps: int) -> float:
    batches = iter(bench.batches())
    began = bench.clock()
    for inputs, labels in islice(batches, steps):
        inputs.to(bench.device), labels.to(bench.device)
    return bench.clock() - began


def ratio(cell: "pd.DataFrame") -> "pd.Series":
    """Ours to the faster of the others, repeat by repeat."""
    rates = by_repeat(cell, "rate")
    return rates[OURS] / rates.drop(columns=OURS).max(axis=1)


def table(rows: "pd.DataFrame") -> str:
    lines = []
    for keys, cell in rows.groupby(_KEYS):
        rates = by_repeat(cell, "rate")
        line = dict(zip(("device", "augment", "batch size"), keys, strict=True))
        line |= {f"{name}, images/s": spread(rates[name]) for name in [*sorted(set(rates) - {OURS}), OURS]}
        line |= {"ours / per sample": spread(ratio(cell), 1)}
        wanted = Aim("", "≥", AIM, "", ratio(cell).median()) if keys[1] == "none" else None
        lines.append(line | {"aim": aims(wanted)})
    return section(TITLE, lines)


def draw(rows: "pd.DataFrame") -> bytes:
    panels = [
        figures.Panel(
            f"{device}, augment={augment}",
            "batch size",
            "images/s",
            figures.lines(some, "batch_size", lambda cell: by_repeat(cell, "rate")),
        )
        for device, of_device in rows.groupby("device")
        for augment, some in sorted(of_device.groupby("augment"), key=lambda named: _AUGMENTS.index(named[0]))
    ]
    return figures.draw_lines(panels, columns=min(3, len(panels)))
