"""Images/s by batch size, device and size of the network, and the time to 98 % by batch size."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd

from cnnlab.workbench.benchmark import figures, training_runs, variants
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import rates, section, spread

TARGET = 0.98
VARIANTS = ("template", "fast")
_BATCH_SIZES = (32, 64, 128, 256, 512)
_BY_BATCH, BY_MODEL, _TO_ACCURACY = "batch size", "model size", "time to accuracy"
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
    to_accuracy = [
        Cell(
            {"kind": _TO_ACCURACY, "device": settings.devices[0], "model": "tinyvgg", "batch_size": batch_size},
            partial(measure_time_to_accuracy, settings, batch_size),
        )
        for batch_size in sizes
    ]
    if settings.smoke:
        return [*by_batch, *to_accuracy, *by_model_size(settings, _WIDTHS[:1], ())]
    return [*by_batch, *to_accuracy, *by_model_size(settings, _WIDTHS, ("resnet",))]


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


def measure_time_to_accuracy(settings: Settings, batch_size: int) -> list[Row]:
    """A row per validation, five times an epoch: training seconds until then, and the accuracy."""
    rate = 0.005 * math.sqrt(batch_size / 32)
    cell = ["model=tinyvgg", f"data.batch_size={batch_size}", f"optimizer.lr={rate:.4g}"]
    small = [f"data.train_size={5 * batch_size}", "trainer.max_epochs=1"] if settings.smoke else []
    bench = Bench([*cell, "trainer.val_check_interval=0.2", *settings.overrides, *small], settings.devices[0])
    clock = training_runs.TrainingClock(bench)
    training_runs.fit(bench, bench.config, clock)
    rows = [
        {"variant": "template", "repeat": 0, "steps": steps, "seconds": seconds, "accuracy": accuracy, "lr": rate}
        for steps, seconds, accuracy in clock.validations
    ]
    return bench.described(rows)


def first_reached(runs: pd.DataFrame, target: float = TARGET) -> float | None:
    """Seconds of training when the accuracy first was so high, None if it never was."""
    reached = runs[runs["accuracy"] >= target]["seconds"]
    return None if reached.empty else float(reached.min())


def wins_from(ratios: Mapping[str, float]) -> str | None:
    """The name from which on every ratio is above 1, given in rising order; None if not even the last is."""
    names = list(ratios)
    return next((name for i, name in enumerate(names) if all(ratios[later] > 1 for later in names[i:])), None)


def as_markdown(rows: pd.DataFrame) -> str:
    of_kind = dict(iter(rows.groupby("kind")))
    text = ""
    if _BY_BATCH in of_kind:
        text += _throughput("Images/s of TinyVGG by batch size", of_kind[_BY_BATCH], "batch_size", "model")
    if _TO_ACCURACY in of_kind:
        text += section(
            f"Seconds of training until TinyVGG's accuracy in validation, five times an epoch, first is {TARGET:.0%}",
            [_to_accuracy_line(batch_size, runs) for batch_size, runs in of_kind[_TO_ACCURACY].groupby("batch_size")],
        )
    if BY_MODEL in of_kind:
        text += _throughput("Images/s by size of the network", of_kind[BY_MODEL], "model", "batch_size")
    return text


def _to_accuracy_line(batch_size: int, runs: pd.DataFrame) -> dict[str, object]:
    seconds = first_reached(runs)
    return {
        "batch size": batch_size,
        "learning rate": f"{runs['lr'].iloc[0]:.4g}",
        f"seconds to {TARGET:.0%}": "not reached" if seconds is None else f"{seconds:.1f}",
        "of the whole run": f"{runs['seconds'].max():.1f}",
        "highest": f"{runs['accuracy'].max():.2%}",
    }


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
    to_accuracy = rows[(kind == _TO_ACCURACY) & (rows.get("accuracy", math.nan) >= TARGET)]
    by_width = rows.assign(width=width, variant="batch " + rows["batch_size"].astype(str) + on_device)
    by_width = by_width[(kind == BY_MODEL) & width.notna()]

    def first_seconds(runs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({f"to {TARGET:.0%}": [first_reached(runs)]})

    wanted = [
        ("TinyVGG, 10 units", by_batch, "batch_size", "images/s", rates, True),
        (f"time to {TARGET:.0%} accuracy", to_accuracy, "batch_size", "seconds of training", first_seconds, False),
        ("TinyVGG by width", by_width, "width", "images/s", rates, True),
    ]
    labels = {"batch_size": "batch size", "width": "hidden units"}
    panels = [
        figures.Panel(title, labels[x], ylabel, figures.values_over(some, x, values), log_y)
        for title, some, x, ylabel, values, log_y in wanted
        if len(some)
    ]
    return figures.draw(panels, columns=min(2, len(panels)))
