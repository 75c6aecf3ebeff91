"""A TensorBoard logger whose pages open with what a run is judged by."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import loggers
from lightning.pytorch.utilities import rank_zero_only
from torch.utils.tensorboard.summary import hparams

from cnnlab.loggers.event_files import events_folder

# TensorBoard sorts tags by their names and knows no other order. TIME SERIES opens the first two groups. Digits come
# first there: the curves. HPARAMS ticks the first five tags. "(" comes before digits there: the result.
# A name that ends in "/" stands for all that begin with it.
_TAGS = {
    "train/loss_step": "2_steps/train/loss",
    "optimizer/learning_rate": "2_steps/learning_rate",
    "epoch": "2_steps/epoch",  # which Lightning adds to numbers that are logged in every step
    "train/": "1_epochs/train/",
    "val/": "1_epochs/val/",
    "best/val/": "(best)/val/",
    "best/epoch": "(end)/best_epoch",
    "best/": "(end)/",
    "cost/": "(end)/",
}
# HPARAMS ticks the settings that differ among the runs, and of these the first five names.
_SETTINGS = {"optimizer.lr": "lr"}

# The CUSTOM SCALARS page: category, chart, and what its tags match. The same for all runs, whatever they learn:
# TensorBoard puts the layouts of all runs together and leaves out only charts that are equal.
_LAYOUT = {
    "loss": {
        "training and validation": ["Multiline", ["1_epochs/(train|val)/loss$"]],
        "training, step by step": ["Multiline", ["2_steps/train/loss$"]],
    },
    "accuracy and other metrics": {
        "training and validation": ["Multiline", ["1_epochs/(train|val)/(?!loss$)"]],
    },
    "speed": {
        "images per second": ["Multiline", ["throughput/images_per_second$"]],
        "where the time goes": ["Multiline", ["throughput/(?!images_per_second$)"]],
    },
}


class TensorBoardLogger(loggers.TensorBoardLogger):
    """Write to the run folder, so that TensorBoard shows the run under the folder's own name.

    | logged as | shown as |
    | --- | --- |
    | train/…, val/… | 1_epochs/train/…, 1_epochs/val/… |
    | train/loss_step, optimizer/learning_rate | 2_steps/train/loss, 2_steps/learning_rate |
    | best/val/… | (best)/val/… |
    | best/epoch, best/test/…, cost/… | (end)/best_epoch, (end)/test/…, (end)/… |

    A run of an earlier version, whose event files lie in <save_dir>/tensorboard, goes on there with its own tags.

    Args:
        save_dir: the run folder.
        purge_step: the first step that a resumed run writes again; TensorBoard hides older points from this step on.
    """

    def __init__(self, save_dir: str | Path, purge_step: int | None = None) -> None:
        folder = events_folder(Path(save_dir))
        super().__init__(folder, name="", version="", default_hp_metric=False, purge_step=purge_step)
        self._tags = _TAGS if folder == Path(save_dir) else {}
        self._session_began = purge_step is not None
        self._session_ended = False

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        super().log_metrics({self._tag(name): value for name, value in metrics.items()}, step)

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
        named = {_SETTINGS.get(name, name): value for name, value in values.items()}
        _, session_start, _ = hparams(named, {})  # type: ignore[no-untyped-call]
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

    def _tag(self, name: str) -> str:
        for beginning, shown in self._tags.items():
            if name == beginning or (beginning.endswith("/") and name.startswith(beginning)):
                return shown + name.removeprefix(beginning)
        return name
