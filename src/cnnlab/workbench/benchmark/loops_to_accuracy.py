"""Seconds of training until TinyVGG is 98 and 99 % right, by train.py and by loops written by hand."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice

import pandas as pd
import torch
from torch import Tensor

from cnnlab.workbench.benchmark import figures, loops, training_runs
from cnnlab.workbench.benchmark.batch_size_time import first_reached
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.loops import Loop
from cnnlab.workbench.benchmark.measuring import Cell, Row, Settings
from cnnlab.workbench.benchmark.report import section, spread
from cnnlab.workbench.benchmark.time_to_accuracy import FAST99

TITLE = (
    "Seconds of training until the validation, five times an epoch, first is so right; loops by hand train TinyVGG in "
    "the same settings with a constant learning rate; fast99 is experiment=fast99"
)
TARGETS = {"98 %": 0.98, "99 %": 0.99}
_BY_HAND: Mapping[str, Callable[[Bench], Loop]] = {
    "best": loops.best_loop,
    "careful": loops.careful_loop,
    "plain": loops.plain_loop,
}
_RUNS = {"template": ["model=tinyvgg"], "fast99": FAST99}
_SMALL = ["data.allow_subset=true", "data.train_size=320", "data.val_size=64", "trainer.max_epochs=1"]
_SEEDS, _FIFTHS = range(3), 25  # five epochs


def cells(settings: Settings) -> list[Cell]:
    device = settings.devices[0]
    return [
        Cell({"device": device, "seed": seed, "variant": name}, partial(measure, settings, device, name, seed))
        for seed in ([0] if settings.smoke else _SEEDS)
        for name in (*_RUNS, *_BY_HAND)
    ]


def measure(settings: Settings, device: str, name: str, seed: int) -> list[Row]:
    """A row per validation, until the last target is reached or the run is over."""
    small = _SMALL if settings.smoke else []
    base = [*_RUNS.get(name, _RUNS["template"]), f"seed={seed}", "trainer.val_check_interval=0.2"]
    bench = Bench([*base, *settings.overrides, *small], device)
    if name in _BY_HAND:
        seen = list(_validations_by_hand(bench, _BY_HAND[name](bench), 2 if settings.smoke else _FIFTHS))
    else:
        clock = training_runs.TrainingClock(bench)
        training_runs.fit(bench, bench.config, clock)
        seen = clock.validations
    rows = [
        {"variant": name, "repeat": seed, "steps": steps, "seconds": seconds, "accuracy": accuracy}
        for steps, seconds, accuracy in seen
    ]
    return bench.described(rows)


def _validations_by_hand(bench: Bench, loop: Loop, fifths: int) -> Iterator[tuple[int, float, float]]:
    batches, steps, seconds = _endless(loop), max(1, bench.steps_per_epoch // 5), 0.0
    for number in range(1, fifths + 1):
        some = islice(batches, steps)
        seconds += loops.train(bench, loop.model, loop.optimizer, some, steps, loop.precision, loop.read_accuracy)
        accuracy = _accuracy(bench, loop)
        yield number * steps, seconds, accuracy
        if accuracy >= max(TARGETS.values()):
            return


def _endless(loop: Loop) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loop.batches()


@torch.no_grad()
def _accuracy(bench: Bench, loop: Loop) -> float:
    loop.model.eval()
    correct = total = 0
    for inputs, labels in bench.validation_batches():
        inputs, labels = inputs.to(bench.device), labels.to(bench.device)
        with bench.autocast(loop.precision):
            correct += int((loop.model(inputs).argmax(dim=1) == labels).sum())
        total += len(labels)
    loop.model.train()
    return correct / total


def seconds_to(rows: pd.DataFrame, target: float) -> pd.DataFrame:
    """A column per variant, a line per seed; NaN where it was not reached."""
    reached = {keys: first_reached(runs, target) for keys, runs in rows.groupby(["seed", "variant"])}
    return pd.Series(reached, dtype=float).unstack()


def as_markdown(rows: pd.DataFrame) -> str:
    lines = []
    for variant, runs in rows.groupby("variant", sort=False):
        line: dict[str, object] = {"loop": variant, "seeds": runs["seed"].nunique()}
        line |= {f"s to {name}": spread(seconds_to(runs, target)[variant], 1) for name, target in TARGETS.items()}
        lines.append(line | {"highest": f"{runs['accuracy'].max():.2%}"})
    return section(TITLE, lines)


def draw(rows: pd.DataFrame) -> bytes:
    values = pd.concat({name: seconds_to(rows, target) for name, target in TARGETS.items()})
    values = values.dropna(axis="columns", how="all")
    if values.empty:
        return figures.draw([], columns=1)
    panel = figures.Panel("training to an accuracy", "accuracy in validation", "seconds of training", values)
    return figures.draw([panel], columns=1)
