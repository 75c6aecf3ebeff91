"""Images/s of a training step on the CPU by number of threads and layout: from which size on do more pay?"""

from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter

import pandas as pd
import torch
from torch.nn import functional

from cnnlab import building
from cnnlab.instantiation import build
from cnnlab.speed import hardware
from cnnlab.speed.allocator import keep_freed_memory
from cnnlab.speed.cores import usable_cores
from cnnlab.workbench.benchmark import figures
from cnnlab.workbench.benchmark.bench import compose_config
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import rates, section, spread

TITLE = "Images/s of a training step on the CPU by number of threads"
_SECONDS = 0.1  # of each number of threads in each turn
_LAYOUTS = {"channels_last": "true", "contiguous": "false"}
_SHAPE, _NUM_CLASSES = (1, 28, 28), 10  # no data are read


def cells(settings: Settings) -> list[Cell]:
    precisions = ("32-true", "bf16-mixed") if hardware.cpu_has_bf16() else ("32-true",)
    return [
        Cell(
            {"model": model, "layout": layout, "batch_size": batch_size, "precision": precision},
            partial(measure, settings, model, layout, batch_size, precision),
        )
        for batch_size in settings.batch_sizes_or(32, 512, 128)
        for precision in precisions
        for model in settings.models_or("linear", "tinyvgg", "resnet", "vgg")
        for layout in _LAYOUTS
    ]


def measure(settings: Settings, model: str, layout: str, batch_size: int, precision: str) -> list[Row]:
    """Every number of threads trains the same network on the same batch; they take turns."""
    before = torch.get_num_threads()
    names = {number: f"{number} thread{'s' * (number > 1)}" for number in numbers_of_threads(usable_cores())}
    step = _step(settings, model, layout, batch_size, precision)
    rows: list[Row] = []
    try:
        for repeat in range(-1, 1 if settings.smoke else settings.repeats):
            for number, name in names.items():
                torch.set_num_threads(number)
                steps, seconds = _repeated(step, 0.0 if settings.smoke or repeat < 0 else _SECONDS)
                row = {"variant": name, "repeat": repeat, "steps": steps, "seconds": seconds}
                rows.append({**row, "images": steps * batch_size, "threads": number})
    finally:
        torch.set_num_threads(before)
    return [row for row in rows if row["repeat"] >= 0]  # the first turn warms up


def numbers_of_threads(num_cores: int) -> list[int]:
    """The powers of two up to the number of cores, and that number."""
    return [*(2**power for power in range(num_cores.bit_length()) if 2**power < num_cores), num_cores]


def _step(settings: Settings, model: str, layout: str, batch_size: int, precision: str) -> Callable[[], None]:
    keep_freed_memory()  # as train.py does
    config = compose_config([f"model={model}", f"trainer.channels_last={_LAYOUTS[layout]}", *settings.overrides])
    torch.manual_seed(config.seed)
    network = building.build_model(config, _SHAPE, _NUM_CLASSES)
    optimizer = build(config, "optimizer")(network.parameters())
    inputs, labels = torch.randn(batch_size, *_SHAPE), torch.randint(_NUM_CLASSES, (batch_size,))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = functional.cross_entropy(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _repeated(step: Callable[[], None], limit: float) -> tuple[int, float]:
    """Repeat the step until the time is over, twice at least: how often was that, and in how many seconds?"""
    steps, began = 0, perf_counter()
    while steps < 2 or perf_counter() - began < limit:
        step()
        steps += 1
    return steps, perf_counter() - began


def as_markdown(rows: pd.DataFrame) -> str:
    return section(TITLE, list(_lines(rows)))


def _lines(rows: pd.DataFrame) -> Iterator[dict[str, object]]:
    names = rows.sort_values("threads")["variant"].unique()
    for keys, cell in rows.groupby(["model", "batch_size", "precision", "layout"], sort=False):
        measured = rates(cell)
        line = dict(zip(("model", "batch size", "precision", "layout"), keys, strict=True))
        line |= {name: spread(measured[name]) for name in names}
        yield line | {"fastest": measured.median().idxmax()}


def draw(rows: pd.DataFrame) -> bytes:
    labelled = rows.assign(variant=rows["layout"] + ", " + rows["precision"])
    panels = [
        figures.Panel(
            f"{model}, batch {batch_size}", "threads", "images/s", figures.values_over(some, "threads", rates), False
        )
        for (batch_size, model), some in labelled.groupby(["batch_size", "model"])
    ]
    return figures.draw(panels, columns=min(2, len(panels)))
