"""Silences messages of libraries about choices that are made here on purpose, and about other products."""

import logging
import os
import warnings

_ON_PURPOSE = (
    "LeafSpec",
    r"callbacks used to create the checkpoint .*\['Checkpoint'\]",  # the key of older checkpoints, which is understood
    "Checkpoint directory .* exists",
    "does not have many workers",
    "GPU available but not used",  # trainer=cpu is a choice
    "The `srun` command is available",  # Slurm's client is on many machines whose runs have nothing to do with it
    "multi-threaded, use of fork",  # torch's DataLoader workers
    "will save all targets and predictions in",  # some of torchmetrics need them all
    "No positive samples in targets",  # of classes without samples, which are left out or said to be missing elsewhere
    "score for one or more classes was `nan`",
    "No positive samples found in target",
    "The AccumulateGrad node's stream does not match",  # those of a CUDA graph, for which torch waits
)

# What W&B and MLflow read when they are imported; a user's own values stay.
_OF_TRACKERS = {"WANDB_QUIET": "true", "MLFLOW_LOGGING_LEVEL": "WARNING"}


def quieten_libraries(is_first: bool = True) -> None:
    """Show Lightning's messages from WARNING on, except a few known ones.

    Args:
        is_first: whether this is the first process of its run; the others say nothing at all.
    """
    for message in _ON_PURPOSE:
        warnings.filterwarnings("ignore", message=f".*{message}")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.loggers.mlflow").setLevel(logging.ERROR)  # that a new store has no experiment
    for name, value in _OF_TRACKERS.items():
        os.environ.setdefault(name, value)
    logging.disable(logging.NOTSET if is_first else logging.WARNING)
    if not is_first:
        warnings.simplefilter("ignore")
