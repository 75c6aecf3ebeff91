"""Seconds of training until TinyVGG reaches an accuracy, by batch size, each at its own learning rate."""

from functools import partial

import pandas as pd

from cnnlab.workbench.benchmark import figures, training_runs
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import mean_sd, section

TARGET = 0.98
TITLE = (
    "Seconds of training until TinyVGG's accuracy in validation, five times an epoch, first is "
    f"{TARGET:.0%}; each batch size at the best learning rate that was found for it"
)
# The rate with the highest mean validation accuracy of those measured (RESULTS.md): for batch size 32 the only one.
RATES = {32: 0.0025, 64: 0.02, 128: 0.02, 256: 0.04, 512: 0.04}
_SEEDS = (0, 1, 2)


def cells(settings: Settings) -> list[Cell]:
    return [
        Cell(
            {"device": settings.devices[0], "model": "tinyvgg", "batch_size": size, "seed": seed},
            partial(measure, settings, size, seed),
        )
        for seed in (_SEEDS[:1] if settings.smoke else _SEEDS)
        for size in settings.batch_sizes_or(*RATES)
    ]


def measure(settings: Settings, size: int, seed: int) -> list[Row]:
    """A row per validation: training seconds until then, and the accuracy."""
    rate = RATES[min(RATES, key=lambda known: abs(known - size))]
    cell = ["model=tinyvgg", f"data.batch_size={size}", f"optimizer.lr={rate:g}", f"seed={seed}"]
    small = [f"data.train_size={5 * size}", "trainer.max_epochs=1"] if settings.smoke else []
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


def as_markdown(rows: pd.DataFrame) -> str:
    return section(TITLE, [_line(size, runs) for size, runs in rows.groupby("batch_size")])


def _line(size: int, runs: pd.DataFrame) -> dict[str, object]:
    by_seed = [run for _, run in runs.groupby("seed")]
    seconds = pd.Series([first_reached(run) for run in by_seed], dtype=float).dropna()
    missed = f" ({len(seconds)} of {len(by_seed)})" if 0 < len(seconds) < len(by_seed) else ""
    whole = pd.Series([run["seconds"].max() for run in by_seed])
    highest = pd.Series([100 * run["accuracy"].max() for run in by_seed])
    return {
        "batch size": size,
        "learning rate": f"{runs['lr'].iloc[0]:g}",
        "seeds": len(by_seed),
        f"seconds to {TARGET:.0%}": "not reached" if seconds.empty else f"{mean_sd(seconds, 1)}{missed}",
        "seconds of the whole run": mean_sd(whole, 1),
        "highest, %": mean_sd(highest, 2),
    }


def draw(rows: pd.DataFrame) -> bytes:
    reached = rows.groupby("batch_size").filter(lambda runs: first_reached(runs) is not None)
    if reached.empty:
        return figures.draw([], columns=1)

    def seconds(runs: pd.DataFrame) -> pd.DataFrame:
        by_seed = [run for _, run in runs.groupby("seed")]
        whole = [float(run["seconds"].max()) for run in by_seed]
        return pd.DataFrame({f"to {TARGET:.0%}": map(first_reached, by_seed), "five epochs": whole}, dtype=float)

    values = figures.values_over(reached, "batch_size", seconds)
    return figures.draw([figures.Panel("TinyVGG on MNIST", "batch size", "seconds of training", values, False)], 1)
