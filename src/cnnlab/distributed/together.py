"""What the processes of a run have in common, and what each has of its own."""

from collections.abc import Callable
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from cnnlab.data.loading.tensor_loader import seed_for
from cnnlab.distributed import reporting


class Together(Callback):
    """Tells every process the run folder of the first one, and gives each its own random numbers.

    All processes begin with one seed, so that they build the same network. Dropout must not drop the same units in all
    of them, though. In every epoch but the first process's, the generator of torch starts from (seed, epoch, rank), so
    that a resumed run goes on with the same numbers.

    Args:
        run_dir: the run folder, as this process knows it; that of the first process counts.
        seed: of the run.
        when_all_are_there: what the first process does once nobody is still looking at what the run has been before.
    """

    def __init__(self, run_dir: Path, seed: int, when_all_are_there: Callable[[], None]) -> None:
        self.run_dir, self.seed = run_dir, seed
        self._when_all_are_there: Callable[[], None] | None = when_all_are_there
        self._is_known = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._is_known:
            return
        self.run_dir, self._is_known = Path(trainer.strategy.broadcast(str(self.run_dir))), True
        if trainer.is_global_zero and self._when_all_are_there is not None:
            self._when_all_are_there()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            torch.manual_seed(seed_for(self.seed, trainer.current_epoch, trainer.global_rank, 2))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if not trainer.is_global_zero and self._is_known:
            reporting.report(self.run_dir, exception)
