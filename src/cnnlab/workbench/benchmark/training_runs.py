"""The training of train.py itself, timed."""

import math
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from omegaconf import DictConfig, open_dict

from cnnlab import building, training
from cnnlab.runs.json_files import read_json
from cnnlab.trainer import build_trainer
from cnnlab.workbench.benchmark.bench import Bench, compose_config


def template(bench: Bench, steps: int) -> float:
    """Seconds of so many steps with callbacks, TensorBoard and schedule; as many before them warm up."""
    clock = TrainingClock(bench, max_epochs=2)
    fit_epochs(bench, steps, clock)
    return clock.seconds_of_epochs[-1]


def fit_epochs(bench: Bench, steps: int, clock: "TrainingClock") -> None:
    """Train the clock's max_epochs of so many steps each.

    The run is told that it lasts as long as the real one, so that its curves get their fifty points as sparsely.
    What the loggers are shown before the first step is left out: it takes a second and is not timed.
    """
    config = bench.config.copy()
    epochs = math.ceil(config.trainer.max_epochs * bench.steps_per_epoch / steps)
    with open_dict(config):
        config.trainer.max_epochs = max(clock.max_epochs or 1, epochs)
        config.trainer.limit_train_batches, config.trainer.limit_val_batches = steps, 1
        (config.callbacks or {}).pop("preview", None)
    fit(bench, config, clock)


def fit(bench: Bench, config: DictConfig, callback: Callback) -> None:
    """Train as train.py would, in a folder that is gone afterwards, with one more callback."""
    classifier = building.build_classifier(config, bench.model(), bench.data)
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        trainer = build_trainer(config, Path(folder), bench.machine, classifier)
        trainer.callbacks.append(callback)  # type: ignore[attr-defined]
        trainer.fit(classifier, datamodule=bench.data)


def train(overrides: Sequence[str]) -> dict[str, Any]:
    """Do a whole run in this process and return its metrics.json."""
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        training.train(compose_config(overrides), Path(folder))
        return read_json(Path(folder) / "metrics.json")


class TrainingClock(Callback):
    """Reads the time spent in training, validation left out, at each validation.

    Args:
        max_epochs: after which the run ends; None for those of its config.

    Attributes:
        validations: (steps, seconds of training until then, the classifier's accuracy) of each.
    """

    def __init__(self, bench: Bench, max_epochs: int | None = None) -> None:
        self.bench, self.max_epochs = bench, max_epochs
        self.validations: list[tuple[int, float, float]] = []
        self._seconds = self._began = 0.0

    @property
    def seconds_of_epochs(self) -> list[float]:
        """The seconds of training between one validation and the next."""
        times = [seconds for _, seconds, _ in self.validations]
        return [end - start for start, end in pairwise([0.0, *times])]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began = self.bench.clock()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seconds += self.bench.clock() - self._began

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        accuracy = float(trainer.callback_metrics.get("val/accuracy", math.nan))
        self.validations.append((trainer.global_step, self._seconds, accuracy))
        self._began = self.bench.clock()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop |= trainer.current_epoch + 1 == self.max_epochs
