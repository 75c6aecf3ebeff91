"""A training for searches to kill: its score is best in the first epoch and gets worse, and every epoch is saved."""

import time
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cnnlab.callbacks.checkpoint import Checkpoint


class Worsening(LightningModule):
    """Prints "epoch <number>" when one begins, and takes so many seconds for each."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.model = nn.Linear(1, 1)
        self.seconds = seconds

    def on_train_epoch_start(self) -> None:
        print(f"epoch {self.current_epoch + 1}", flush=True)
        time.sleep(self.seconds)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = self.model(batch).square().mean()
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/score", -float(self.current_epoch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train(folder: Path, source: Path | None, epochs: int, seconds: float) -> None:
    """Train in `folder`, from where the training in the folder `source` was last saved."""
    last = None if source is None else source / "checkpoints" / "last.ckpt"
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        callbacks=[Checkpoint("val/score")],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
    )
    data = DataLoader(torch.ones(1, 1))  # type: ignore[arg-type]
    trainer.fit(Worsening(seconds / epochs), data, data, ckpt_path=last if last and last.is_file() else None)
