"""Writes the confusion matrix of the test into the run folder."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor


class ConfusionCounts(Callback):
    """Write <run>/evaluation/test/confusion_counts.csv and per_class_accuracy.csv after the test.

    If the run has several processes, the first one writes the counts of all.
    """

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        counts = getattr(pl_module, "test_confusion", None)
        names = getattr(getattr(trainer, "datamodule", None), "class_names", None)
        if counts is not None and names is not None and trainer.is_global_zero:
            write_counts(counts, names, Path(trainer.default_root_dir) / "evaluation" / "test")


def write_counts(counts: Tensor, class_names: Sequence[str], folder: Path) -> None:
    """Write the counts, a row per true class and a column per predicted class, and each class's accuracy."""
    folder.mkdir(parents=True, exist_ok=True)
    matrix = [["true \\ predicted", *class_names]]
    matrix += [[name, *row] for name, row in zip(class_names, counts.tolist(), strict=True)]
    _write(folder / "confusion_counts.csv", matrix)
    num_images, num_correct = counts.sum(dim=1), counts.diagonal()
    accuracy = ["" if value.isnan() else f"{value.numpy()}" for value in num_correct / num_images]
    per_class = zip(class_names, num_images.tolist(), num_correct.tolist(), accuracy, strict=True)
    _write(folder / "per_class_accuracy.csv", [("class", "images", "correct", "accuracy"), *per_class])


def _write(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
