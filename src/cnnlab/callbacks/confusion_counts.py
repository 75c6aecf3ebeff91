"""Which classes the test found hard, and what they were taken for."""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer


class ConfusionCounts(Callback):
    """Write <run>/evaluation/test/confusion_counts.csv and per_class_accuracy.csv after the test.

    The counts have a row per true class and a column per predicted class.
    """

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        counts = getattr(pl_module, "test_confusion", None)
        names = getattr(getattr(trainer, "datamodule", None), "class_names", None)
        if counts is None or names is None:
            return
        import pandas as pd  # costs every start a moment, and only a test needs it

        folder = Path(trainer.default_root_dir) / "evaluation" / "test"
        folder.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame(counts.numpy(), index=pd.Index(names, name="true \\ predicted"), columns=list(names))
        table.to_csv(folder / "confusion_counts.csv")
        num_images, num_correct = counts.sum(dim=1), counts.diagonal()
        per_class = pd.DataFrame(
            {"class": names, "images": num_images, "correct": num_correct, "accuracy": num_correct / num_images}
        )
        per_class.to_csv(folder / "per_class_accuracy.csv", index=False)
