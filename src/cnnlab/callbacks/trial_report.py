"""The bridge between a run and the search it belongs to."""

import logging

from lightning.pytorch import Callback, LightningModule, Trainer

log = logging.getLogger(__name__)


class TrialReport(Callback):
    """Report `monitor` to the search after every epoch, and end the run in order where the search has seen enough.

    The run then finishes like any other: metrics.json, checkpoints and a closed TensorBoard log. Only the first of
    several processes reports; all of them stop. In a run outside a search it does nothing.

    Args:
        monitor: a logged number.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        from cnnlab.sweep import trial

        metrics = trainer.callback_metrics  # in every process: what is logged with sync_dist is added up on reading
        current, reason = trial.current(), None
        if current is not None and trainer.is_global_zero and self.monitor in metrics:
            reason = current.report(float(metrics[self.monitor]), trainer.current_epoch + 1)
        if trainer.world_size > 1:
            reason = trainer.strategy.broadcast(reason)
        if reason is not None:
            log.info("pruned: %s", reason)
            trainer.should_stop = True
