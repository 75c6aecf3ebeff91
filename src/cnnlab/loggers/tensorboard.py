"""A TensorBoard logger without version_0, hp_metric=-1 and outdated points after a resume."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch import loggers
from lightning.pytorch.utilities import rank_zero_only
from torch.utils.tensorboard.summary import hparams

# The CUSTOM SCALARS page: category, chart, and what its tags match. The same for all runs, whatever they learn:
# TensorBoard puts the layouts of all runs together and leaves out only charts that are equal.
_LAYOUT = {
    "loss": {
        "training and validation": ["Multiline", ["(train|val)/loss$"]],
        "training, step by step": ["Multiline", ["train/loss_step$"]],
    },
    "accuracy and other metrics": {
        "training and validation": ["Multiline", ["(train|val)/(?!loss$|loss_step$)"]],
    },
    "speed": {
        "images per second": ["Multiline", ["throughput/images_per_second$"]],
        "where the time goes": ["Multiline", ["throughput/(?!images_per_second$)"]],
    },
}


class TensorBoardLogger(loggers.TensorBoardLogger):
    """Write to <save_dir>/tensorboard.

    Args:
        save_dir: the run folder.
        purge_step: the first step that a resumed run writes again; TensorBoard hides older points from this step on.
    """

    def __init__(self, save_dir: str | Path, purge_step: int | None = None) -> None:
        super().__init__(save_dir, name="tensorboard", version="", default_hp_metric=False, purge_step=purge_step)
        self._session_began = purge_step is not None
        self._session_ended = False

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, metrics: dict[str, Any] | None = None, step: int | None = None
    ) -> None:
        """Write one row of the HPARAMS page and the layout of the CUSTOM SCALARS page, once per run.

        Only the session's start, without the experiment summary that torch adds: TensorBoard would take the columns
        of all runs from one of them. Its metrics are the scalars the run logs.
        """
        if self._session_began:
            return
        self._session_began = True
        values = vars(params) if isinstance(params, Namespace) else params
        _, session_start, _ = hparams(values, {})  # type: ignore[no-untyped-call]
        self.experiment.file_writer.add_summary(session_start)
        self.experiment.add_custom_scalars(_LAYOUT)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        writer = self.experiment.file_writer  # None after an earlier call, which closed it
        if status == "success" and writer is not None and not self._session_ended:
            _, _, session_end = hparams({}, {})  # type: ignore[no-untyped-call]
            writer.add_summary(session_end)
            self._session_ended = True
        self.experiment.flush()
        self.experiment.close()

    @rank_zero_only
    def save(self) -> None:
        """Write no hparams.yaml as Lightning does, because .hydra/config.yaml holds the same settings."""
