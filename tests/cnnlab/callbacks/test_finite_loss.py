"""Weights that are no numbers are saved nowhere."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from cnnlab.callbacks.finite_loss import FiniteLoss
from cnnlab.callbacks.step_curves import StepCurves
from conftest import Finished


@pytest.mark.parametrize("settings", ["trainer.max_steps=3", "trainer.val_check_interval=3"])
def test_between_two_looks(settings: str, smoke: Callable[..., Finished]) -> None:
    batches = ["trainer.limit_train_batches=60", "data.batch_size=4"]  # looked at after every sixth
    run = smoke(*batches, "optimizer=sgd", "optimizer.lr=1e12", "scheduler=none", "logger=none", settings)
    assert run.status == 1
    assert "error: the training loss became nan" in run.err
    assert not list(Path("outputs").rglob("*.ckpt"))


class Choosy(LightningModule):
    """Passes over every second batch, or optimises by itself."""

    def __init__(self, automatic: bool) -> None:
        super().__init__()
        self.layer, self.automatic_optimization = nn.Linear(2, 1), automatic

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor | None:
        loss: Tensor = self.layer(batch[0]).sum()
        if not self.automatic_optimization:
            self.manual_backward(loss)
            self.optimizers().step()  # type: ignore[union-attr]
        return loss if self.automatic_optimization and batch_idx % 2 else None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


@pytest.mark.parametrize("automatic", [True, False])
@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec", "ignore:.*returned `None`")
def test_a_batch_without_a_loss_is_passed_over(automatic: bool, tmp_path: Path) -> None:
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=[FiniteLoss(), StepCurves()],
        logger=CSVLogger(tmp_path),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(Choosy(automatic), DataLoader(TensorDataset(torch.ones(8, 2)), batch_size=2))
    assert trainer.global_step == 4


@pytest.mark.gpu
@pytest.mark.parametrize("graphs", ["false", "true"])
def test_on_a_gpu(graphs: str, on_gpu: Callable[..., Finished]) -> None:
    loop = ["trainer.fast_loop=true", f"trainer.cuda_graph={graphs}"]
    run = on_gpu("optimizer=sgd", "optimizer.lr=1e12", "scheduler=none", "logger=none", *loop)
    assert run.status == 1
    assert run.err.startswith("error: the training loss became ")
    assert len(run.err.splitlines()) == 1
    assert not list(Path("outputs").rglob("*.ckpt"))
