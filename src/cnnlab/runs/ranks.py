"""The processes of a run on many devices: who has started this one, and which of them it is.

Nothing here imports torch: the command line asks before it knows whether there is anything to train.
"""

import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

# What tells that a launcher has started this process, and the process's number. A batch script of Slurm and a shell in
# an allocation have the variables of the job, but only srun sets those of a step.
_TORCHRUN, _SRUN = "TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS"
_RANK = {"torchrun": "RANK", "srun": "SLURM_PROCID"}
_LOCAL_RANK = {"torchrun": "LOCAL_RANK", "srun": "SLURM_LOCALID"}
_NUM_PROCESSES = {"torchrun": "WORLD_SIZE", "srun": _SRUN}

# What the first process of a run sets for those that it starts itself.
FURTHER = "CNNLAB_FURTHER_PROCESS"


def launcher() -> str | None:
    """Return the program that has started several processes of this command: torchrun, srun, or None for none."""
    if _TORCHRUN in os.environ:
        return "torchrun"
    return "srun" if int(os.environ.get(_SRUN) or 1) > 1 else None


def rank() -> int:
    """Return the number of this process, from 0, among those that the same launcher has started for one run."""
    return int(os.environ.get(_RANK.get(launcher() or "", "LOCAL_RANK")) or 0)


def local_rank() -> int:
    """The same among the processes on this machine."""
    return int(os.environ.get(_LOCAL_RANK.get(launcher() or "", "LOCAL_RANK")) or 0)


def num_launched() -> int | None:
    """Return how many processes the launcher has started, on all machines; None if there is no launcher."""
    found = launcher()
    return int(os.environ.get(_NUM_PROCESSES[found]) or 1) if found else None


def is_alone(trainer: Mapping[Any, Any]) -> bool:
    """Return whether a run with these settings, conf/trainer's, is a run of one process by all means.

    Then it takes no notice of a launcher: every process that torchrun or srun has started makes a run of its own.
    """
    devices = trainer.get("devices", 1)
    is_one = devices in (1, "1") or (not isinstance(devices, str | int) and devices is not None and len(devices) == 1)
    return is_one and trainer.get("num_nodes", 1) == 1


def is_first(trainer: Mapping[Any, Any]) -> bool:
    """Return whether this process is the one that tells about the run and writes its files."""
    return is_alone(trainer) or rank() == 0


def num_local(trainer: Mapping[Any, Any], num_visible: int) -> int:
    """Return how many processes the run has on this machine.

    Args:
        num_visible: devices that the run could use here.
    """
    devices = trainer.get("devices", 1)
    if isinstance(devices, int | str) and str(devices).isdecimal():
        return max(1, int(devices))
    if devices in (None, "auto", -1, "-1"):
        return max(1, num_visible)
    return len([part for part in devices.split(",") if part.strip()] if isinstance(devices, str) else devices)


def make_alone(trainer: MutableMapping[Any, Any]) -> None:
    """Let a training or evaluation be one of one process, whatever the settings of its run are."""
    trainer.update({"devices": 1, "num_nodes": 1, "strategy": "auto"})


@contextmanager
def without_launcher() -> Iterator[None]:
    """Let this process forget its launcher: a search's trial on several devices starts its own further processes."""
    given = {name: os.environ.pop(name) for name in (_TORCHRUN, _SRUN, "LOCAL_RANK") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(given)
