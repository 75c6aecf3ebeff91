"""What batch size, device and network size do to images/s, and the batch size to the time to 98 %."""

import math
from collections.abc import Mapping
from functools import partial
from timeit import default_timer
from typing import TYPE_CHECKING

from lightning.pytorch import Callback, LightningModule, Trainer

from cnnlab.workbench.benchmark import figures, fits, split, variants
from cnnlab.workbench.benchmark.bench import Bench, synchronise
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import by_repeat, section, spread

if TYPE_CHECKING:
    import pandas as pd

TARGET = 0.98
VARIANTS = ("template", "fast")
_BATCH_SIZES = (32, 64, 128, 256, 512)
_BY_BATCH, _BY_MODEL, _TO_ACCURACY, _SPLIT = "batch size", "model size", "time to accuracy", "split"


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
    to_accuracy = [
        Cell(
            {"kind": _TO_ACCURACY, "device": settings.devices[0], "model": "tinyvgg", "batch_size": batch_size},
            partial(measure_time_to_accuracy, settings, batch_size),
        )
        for batch_size in sizes
    ]
    return [*by_batch, *to_accuracy, *by_model_size(settings), *split.cells(settings, kind=_SPLIT)]


def by_model_size(settings: Settings) -> list[Cell]:
    """TinyVGG from narrow to wide, and a ResNet, at a small and a large batch."""
    widths = (10,) if settings.smoke else (10, 32, 64, 128, 256)
    models = {f"tinyvgg, {width} units": ["model=tinyvgg", f"model.hidden_units={width}"] for width in widths}
    if not settings.smoke:
        models["resnet"] = ["model=resnet"]
    return [
        Cell(
            {"kind": _BY_MODEL, "device": device, "model": name, "batch_size": batch_size},
            partial(variants.measure, settings, device, ["template"], [*model, f"data.batch_size={batch_size}"]),
        )
        for device in settings.devices
        for name, model in models.items()
        for batch_size in settings.batch_sizes_or(32, 512)
    ]


def measure_time_to_accuracy(settings: Settings, batch_size: int) -> list[Row]:
    """A row per validation, five times an epoch: training seconds until then, and the accuracy."""
    rate = 0.005 * math.sqrt(batch_size / 32)
    cell = ["model=tinyvgg", f"data.batch_size={batch_size}", f"optimizer.lr={rate:.4g}"]
    small = [f"data.train_size={5 * batch_size}", "trainer.max_epochs=1"] if settings.smoke else []
    bench = Bench([*cell, "trainer.val_check_interval=0.2", *settings.overrides, *small], settings.devices[0])
    curve = _AccuracyOverTime()
    fits.fit(bench, bench.config, curve)
    rows = [
        {"variant": "template", "repeat": 0, "steps": steps, "seconds": seconds, "accuracy": accuracy, "lr": rate}
        for steps, seconds, accuracy in curve.points
    ]
    return bench.described(rows)


class _AccuracyOverTime(Callback):
    """(steps, seconds of training without validation, accuracy) at each validation."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float, float]] = []
        self._seconds = self._began = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        synchronise(pl_module.device)
        self._began = default_timer()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        synchronise(pl_module.device)
        self._seconds += default_timer() - self._began

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.points.append((trainer.global_step, self._seconds, float(trainer.callback_metrics["val/accuracy"])))
        self._began = default_timer()


def first_reached(runs: "pd.DataFrame", target: float = TARGET) -> float | None:
    """Seconds of training when the accuracy first was so high, None if it never was."""
    reached = runs[runs["accuracy"] >= target]["seconds"]
    return None if reached.empty else float(reached.min())


def wins_from(ratios: Mapping[str, float]) -> str | None:
    """From which on every ratio is above 1, given in rising order; None if not even the last is."""
    names = list(ratios)
    winning = [all(ratios[later] > 1 for later in names[number:]) for number in range(len(names))]
    return names[winning.index(True)] if any(winning) else None


def table(rows: "pd.DataFrame") -> str:
    of = dict(iter(rows.groupby("kind")))
    text = ""
    if _BY_BATCH in of:
        text += _throughput("Images/s of TinyVGG by batch size", of[_BY_BATCH], "batch_size", "model")
    if _TO_ACCURACY in of:
        text += section(
            f"Seconds of training until TinyVGG's accuracy in validation, five times an epoch, first is {TARGET:.0%}",
            [_to_accuracy_line(batch_size, runs) for batch_size, runs in of[_TO_ACCURACY].groupby("batch_size")],
        )
    if _BY_MODEL in of:
        text += _throughput("Images/s by size of the network", of[_BY_MODEL], "model", "batch_size")
    return text + (split.table(of[_SPLIT]) if _SPLIT in of else "")


def _to_accuracy_line(batch_size: int, runs: "pd.DataFrame") -> dict[str, object]:
    seconds = first_reached(runs)
    return {
        "batch size": batch_size,
        "learning rate": f"{runs['lr'].iloc[0]:.4g}",
        f"seconds to {TARGET:.0%}": "not reached" if seconds is None else f"{seconds:.1f}",
        "of the whole run": f"{runs['seconds'].max():.1f}",
        "highest": f"{runs['accuracy'].max():.2%}",
    }


def _throughput(title: str, rows: "pd.DataFrame", rising: str, fixed: str) -> str:
    """Images/s on each device; with two of them also from where on the first is the faster."""
    devices = sorted(set(rows["device"]), key=lambda device: device == "cpu")
    lines: list[dict[str, object]] = []
    verdicts = []
    for shared, some in rows.groupby(fixed):
        ratios = {}
        for value, cell in some.groupby(rising, sort=rising == "batch_size"):
            rates = {device: by_repeat(on, "rate") for device, on in cell.groupby("device")}
            line: dict[str, object] = {"network": shared, "batch size": value}
            if rising == "model":
                line = {"network": value, "batch size": shared}
            for device in devices:
                for name in VARIANTS:
                    if name in rates.get(device, ()):
                        line[f"{name} on {device}"] = spread(rates[device][name])
            if len(rates) > 1:
                ratio = rates[devices[0]]["template"].median() / rates["cpu"]["template"].median()
                ratios[str(value)] = ratio
                line[f"{devices[0]} / cpu"] = f"{ratio:.1f}"
            lines.append(line)
        if ratios:
            where = wins_from(ratios)
            begins = f"from {rising.replace('_', ' ')} {where} on" if where else "nowhere"
            verdicts.append(f"{fixed.replace('_', ' ')} {shared}: {devices[0]} is faster than the CPU {begins}.")
    return section(title, lines) + ("\n".join(verdicts) + "\n\n" if verdicts else "")


def draw(rows: "pd.DataFrame") -> bytes:
    of = dict(iter(rows.groupby("kind")))
    panels = []
    if _BY_BATCH in of:
        named = of[_BY_BATCH].assign(variant=of[_BY_BATCH]["variant"] + " on " + of[_BY_BATCH]["device"])
        drawn = figures.lines(named, "batch_size", lambda cell: by_repeat(cell, "rate"))
        panels.append(figures.Panel("TinyVGG, 10 units", "batch size", "images/s", drawn))
    if _TO_ACCURACY in of:
        times = {size: first_reached(runs) for size, runs in of[_TO_ACCURACY].groupby("batch_size")}
        reached = {size: seconds for size, seconds in times.items() if seconds is not None}
        line = figures.Line(f"to {TARGET:.0%}", *(list(it) for it in (reached, *[reached.values()] * 3)))
        title = f"time to {TARGET:.0%} validation accuracy"
        panels.append(figures.Panel(title, "batch size", "seconds of training", [line] if reached else [], log_y=False))
    if _BY_MODEL in of:
        panels.append(_by_width(of[_BY_MODEL]))
    return figures.draw_lines(panels, columns=min(2, len(panels)))


def _by_width(rows: "pd.DataFrame") -> figures.Panel:
    tinyvgg = rows[rows["model"].str.startswith("tinyvgg")]
    named = tinyvgg.assign(
        width=tinyvgg["model"].str.extract(r"(\d+) units", expand=False).astype(int),
        variant="batch " + tinyvgg["batch_size"].astype(str) + " on " + tinyvgg["device"],
    )
    drawn = figures.lines(named, "width", lambda cell: by_repeat(cell, "rate"))
    return figures.Panel("TinyVGG by width", "hidden units", "images/s", drawn)
