"""The parts of a step on a GPU: copying the batch, computing, and what Python takes beside that."""

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from cnnlab.speed.torch_internals import sleep_on_device
from cnnlab.workbench.benchmark import loops
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.measuring import SECONDS, Cell, Row, Settings, choose_steps
from cnnlab.workbench.benchmark.report import by_repeat, section, spread

TITLE = (
    "Microseconds of a training step on the GPU: copying the batch, computing, and the rest: launching, Python and, "
    "with data on the CPU, cutting the batch"
)
PARTS = ("copy", "compute", "rest")
_STEPS_BEHIND_SLEEP = 4  # more would fill the queue of launches, which then waits for the device
_DATA_DEVICES = ("cpu", "auto")


def cells(settings: Settings, **keys: str) -> list[Cell]:
    """None without a CUDA device: only there can launches be hidden."""
    return [
        Cell(
            {**keys, "device": "cuda", "batch_size": batch_size, "data_device": data_device},
            partial(measure, settings, batch_size, data_device),
        )
        for batch_size in settings.batch_sizes_or(32, 64, 128, 256, 512)
        for data_device in _DATA_DEVICES
        if "cuda" in settings.devices
    ]


def measure(settings: Settings, batch_size: int, data_device: str) -> list[Row]:
    cell = ["model=tinyvgg", f"data.batch_size={batch_size}", f"data.device={data_device}"]
    bench = Bench([*settings.overrides, *cell], "cuda")
    warm = min(20, bench.steps_per_epoch)
    steps = choose_steps([loops.bare(bench, warm) / warm], bench.steps_per_epoch)
    rows = []
    for repeat in range(1 if settings.smoke else settings.repeats):
        copy = copy_seconds(bench) if data_device == "cpu" else 0.0
        parts = split(loops.bare(bench, steps) / steps, compute_seconds(bench), copy)
        rows += [{"variant": name, "repeat": repeat, "steps": 1, "seconds": value} for name, value in parts.items()]
    return bench.described(rows)


def split(wall: float, compute: float, copy: float) -> dict[str, float]:
    """The three parts of a step's wall time; the rest, in which the device was not busy, is never less than nothing."""
    return dict(zip(PARTS, (copy, compute, max(0.0, wall - compute - copy)), strict=True))


def copy_seconds(bench: Bench, times: int = 50) -> float:
    """Median seconds of copying one batch of the run to the device."""
    batches = [[tensor.cpu() for tensor in batch] for batch in islice(bench.batches(), 2)]
    seconds = []
    for number in range(times):
        began = bench.clock()
        for tensor in batches[number % len(batches)]:
            tensor.to(bench.device, non_blocking=True)
        seconds.append(bench.clock() - began)
    return sorted(seconds)[times // 2]


def compute_seconds(bench: Bench) -> float:
    """Seconds of a step on the device alone: all its launches wait in the queue behind a sleep."""
    model = bench.model().train()
    optimizer = bench.optimizer(model)
    batch: tuple[Tensor, Tensor] = next(iter(bench.batches()))
    inputs, labels = (tensor.to(bench.device) for tensor in batch)

    def step() -> None:
        with bench.autocast(bench.machine.precision):
            loss = functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step()
    cycles = int(2e7)  # about ten milliseconds
    while (seconds := _behind_a_sleep(step, cycles)) is None and cycles < SECONDS * 4e9:
        cycles *= 2
    return float("nan") if seconds is None else seconds


def _behind_a_sleep(step: Callable[[], None], cycles: int) -> float | None:
    """Seconds per step; None if the device woke before everything was launched."""
    start: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    sleep_on_device(cycles)
    start.record()
    for _ in range(_STEPS_BEHIND_SLEEP):
        step()
    end.record()
    was_asleep = not start.query()
    torch.cuda.synchronize()
    seconds: float = start.elapsed_time(end) / 1e3 / _STEPS_BEHIND_SLEEP
    return seconds if was_asleep else None


def parts_table(rows: pd.DataFrame) -> str:
    lines = []
    for (batch_size, data_device), cell in rows.groupby(["batch_size", "data_device"]):
        micros = 1e6 * by_repeat(cell, "seconds")
        line = {"batch size": batch_size, "data on": "the GPU" if data_device == "auto" else "the CPU"}
        lines.append(line | {f"{name}, µs": spread(micros[name]) for name in PARTS})
    return section(TITLE, lines)
