"""Images/s of reading alone: torchvision's way, sample by sample, against batches cut from tensors."""

from collections.abc import Iterator
from functools import partial
from itertools import islice

import pandas as pd
from torch import Tensor
from torch.utils.data import DataLoader

from cnnlab.workbench.benchmark import figures
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.hand_written_samples import HandWrittenSamples
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings, take_turns
from cnnlab.workbench.benchmark.report import Aim, aims, rates, section, spread

TITLE = "Images/s of the data pipeline alone, from the samples in memory to normalised float32 batches on the device"
_AUGMENTS, _WORKERS = ("none", "shift", "affine"), (0, 2)
OURS = "ours"
AIM = 30.0


def cells(settings: Settings) -> list[Cell]:
    return [
        cell(settings, device, augment, batch_size)
        for device in settings.devices
        for augment in (_AUGMENTS[:1] if settings.smoke else _AUGMENTS)
        for batch_size in settings.batch_sizes_or(32, 64, 128, 256, 512)
    ]


def cell(settings: Settings, device: str, augment: str, batch_size: int, **keys: str) -> Cell:
    values: dict[str, str | int | float] = {**keys, "device": device, "augment": augment, "batch_size": batch_size}
    return Cell(values, partial(measure, settings, device, augment, batch_size))


def measure(settings: Settings, device: str, augment: str, batch_size: int) -> list[Row]:
    bench = Bench([*settings.overrides, f"augment={augment}", f"data.batch_size={batch_size}"], device)
    workers = _WORKERS[:1] if settings.smoke else _WORKERS
    loops = {f"per sample, {number} workers": partial(per_sample, bench, number) for number in workers}
    loops |= {OURS: partial(ours, bench)}
    # The permutation is drawn once a pass and batches are gathered several at a time: ours is timed over whole passes.
    rows = take_turns(loops, settings, max(1, bench.steps_per_epoch - 1), own_steps={OURS: bench.steps_per_epoch})
    return bench.described(rows, dict.fromkeys(loops, "32-true"))


def per_sample(bench: Bench, workers: int, steps: int) -> float:
    """Seconds once the workers have started and brought a first batch."""
    samples = HandWrittenSamples(bench.data, bench.config.augment)
    batches = iter(DataLoader(samples, bench.batch_size, shuffle=True, num_workers=workers))
    next(batches)
    return _read(bench, batches, steps)


def ours(bench: Bench, steps: int) -> float:
    """Seconds of the project's own batches."""
    return _read(bench, iter(bench.batches()), steps)


def _read(bench: Bench, batches: Iterator[tuple[Tensor, Tensor]], steps: int) -> float:
    began = bench.clock()
    for inputs, labels in islice(batches, steps):
        inputs.to(bench.device), labels.to(bench.device)
    return bench.clock() - began


def ratio(cell: pd.DataFrame) -> pd.Series:
    """How many times the images/s of the faster of the others are ours, repeat by repeat."""
    measured = rates(cell)
    return measured[OURS] / measured.drop(columns=OURS).max(axis=1)


def as_markdown(rows: pd.DataFrame) -> str:
    lines = []
    for (device, augment, batch_size), cell in rows.groupby(["device", "augment", "batch_size"]):
        measured = rates(cell)
        line = {"device": device, "augment": augment, "batch size": batch_size}
        line |= {f"{name}, images/s": spread(measured[name]) for name in [*sorted(set(measured) - {OURS}), OURS]}
        wanted = Aim("", "≥", AIM, "", ratio(cell).median()) if augment == "none" else None
        lines.append(line | {"ours / per sample": spread(ratio(cell), 1), "aim": aims(wanted)})
    return section(TITLE, lines)


def draw(rows: pd.DataFrame) -> bytes:
    panels = [
        figures.Panel(
            f"{device}, augment={augment}", "batch size", "images/s", figures.values_over(some, "batch_size", rates)
        )
        for (device, augment), some in sorted(
            rows.groupby(["device", "augment"]), key=lambda it: (it[0][0], _AUGMENTS.index(it[0][1]))
        )
    ]
    return figures.draw(panels, columns=min(3, len(panels)))
