"""TensorBoard without version_0, hp_metric=-1 and stale points after a resume."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch import loggers
from lightning.pytorch.utilities import rank_zero_only
from torch.utils.tensorboard.summary import hparams


class TensorBoardLogger(loggers.TensorBoardLogger):
    """Write to <save_dir>/tensorboard.

    Args:
        save_dir: the run folder.
        purge_step: on resume the first step to be written again; TensorBoard forgets what was written from there on.
    """

    def __init__(self, save_dir: str | Path, purge_step: int | None = None) -> None:
        super().__init__(save_dir, name="tensorboard", version="", default_hp_metric=False, purge_step=purge_step)
        self._resumed = purge_step is not None
        self._session_ended = False

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, metrics: dict[str, Any] | None = None, step: int | None = None
    ) -> None:
        """Write one row of the HPARAMS page, once per run.

        Only the session's start, without the experiment summary that torch adds: TensorBoard would take the columns
        of all runs from one of them. Its metrics are the scalars the run logs.
        """
        if self._resumed:
            return
        values = vars(params) if isinstance(params, Namespace) else params
        _, session_start, _ = hparams(values, {})  # type: ignore[no-untyped-call]
        self.experiment._get_file_writer().add_summary(session_start)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if status == "success" and not self._session_ended:
            _, _, session_end = hparams({}, {})  # type: ignore[no-untyped-call]
            self.experiment._get_file_writer().add_summary(session_end)
            self._session_ended = True
        self.experiment.flush()
        self.experiment.close()

    @rank_zero_only
    def save(self) -> None:
        """Leave out Lightning's hparams.yaml: .hydra/config.yaml says it all."""
