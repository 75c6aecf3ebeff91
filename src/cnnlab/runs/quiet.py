"""What users are spared: talk of libraries' own future, of choices made here on purpose, and of other products."""

import logging
import os
import warnings

_ON_PURPOSE = (
    "LeafSpec",
    r"callbacks used to create the checkpoint .*\['Checkpoint'\]",  # the key of older checkpoints, which is understood
    "Checkpoint directory .* exists",
    "does not have many workers",
    "The `srun` command is available",  # Slurm's client is on many machines whose runs have nothing to do with it
    "multi-threaded, use of fork",  # torch's DataLoader workers
)


def quieten_libraries() -> None:
    """Let Lightning speak from WARNING on, less a few known messages, and only the first of a run's processes."""
    for message in _ON_PURPOSE:
        warnings.filterwarnings("ignore", message=f".*{message}")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    is_first = os.environ.get("LOCAL_RANK", "0") == "0"
    logging.disable(logging.NOTSET if is_first else logging.WARNING)
