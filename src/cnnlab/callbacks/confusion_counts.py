"""Writes the confusion matrix of the test into the run folder."""

from collections.abc import Sequence
from pathlib import Path

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
    import pandas as pd  # imported here, because it would slow every start and only a test needs it

    folder.mkdir(parents=True, exist_ok=True)
    index = pd.Index(class_names, name="true \\ predicted")
    pd.DataFrame(counts.numpy(), index=index, columns=list(class_names)).to_csv(folder / "confusion_counts.csv")
    num_images, num_correct = counts.sum(dim=1), counts.diagonal()
    per_class = pd.DataFrame(
        {"class": class_names, "images": num_images, "correct": num_correct, "accuracy": num_correct / num_images}
    )
    per_class.to_csv(folder / "per_class_accuracy.csv", index=False)
