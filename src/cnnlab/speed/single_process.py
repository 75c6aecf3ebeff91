"""A run of one process is one, whatever a job manager or a launcher has left in the environment."""

from collections.abc import Mapping
from typing import Any

from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.utilities import rank_zero_only


def plugins(arguments: Mapping[str, Any]) -> list[LightningEnvironment]:
    """What keeps a Trainer with these arguments from looking for other processes, if it is to be alone.

    Inside a Slurm job (SLURM_NTASKS=4) it would ask for as many devices as tasks, in one that `srun` or `torchrun`
    started (SLURM_PROCID=1, RANK=1) leave all files to a first process that knows nothing of it.
    """
    devices = arguments.get("devices")
    is_alone = devices in (1, "1") or (isinstance(devices, list) and len(devices) == 1)
    if not is_alone or arguments.get("num_nodes", 1) != 1:
        return []
    rank_zero_only.rank = 0  # type: ignore[attr-defined]
    return [LightningEnvironment()]
