"""Divides the machine into slots: each runs one trial at a time and has its share of the GPUs and CPU cores."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from async_optuna.cores import usable_cores
from async_optuna.errors import SearchError

# More small processes than this gain nothing and cost a data set's memory each.
_MAX_CPU_SLOTS = 8


@dataclass(frozen=True)
class Slot:
    """One place where a trial can run.

    Attributes:
        index: from 0.
        gpus: ids or UUIDs of the GPUs it sees, as CUDA_VISIBLE_DEVICES names them; empty: as inherited.
        num_threads: its share of the CPU cores.
    """

    index: int
    gpus: tuple[str, ...] = ()
    num_threads: int = 1

    @property
    def environment(self) -> dict[str, str]:
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)} if self.gpus else {}


def plan(
    n_jobs: int | Literal["auto"],
    workers_per_gpu: int = 1,
    gpus_per_trial: int = 1,
    gpus: Sequence[str] | None = None,
    num_cores: int | None = None,
) -> list[Slot]:
    """Divide the machine.

    Args:
        n_jobs: trials at once; "auto": workers_per_gpu for every gpus_per_trial GPUs, without GPUs one per core (at
            most 8).
        workers_per_gpu: trials that share a GPU.
        gpus_per_trial: GPUs that one trial spreads over.
        gpus: the visible ones; None: ask the machine.
        num_cores: None: ask the machine.

    Raises:
        SearchError: for numbers that cannot be.
    """
    gpus = visible_gpus() if gpus is None else gpus
    num_cores = usable_cores() if num_cores is None else num_cores
    if n_jobs != "auto" and (not isinstance(n_jobs, int) or n_jobs < 1):
        raise SearchError(f"hydra.sweeper.n_jobs must be auto or at least 1, got {n_jobs}")
    for name, value in {"workers_per_gpu": workers_per_gpu, "gpus_per_trial": gpus_per_trial}.items():
        if value < 1:
            raise SearchError(f"hydra.sweeper.{name} must be at least 1, got {value}")
    if workers_per_gpu > 1 and gpus_per_trial > 1:
        raise SearchError(
            "hydra.sweeper: a trial either shares a GPU (workers_per_gpu) or has several (gpus_per_trial)"
        )
    if gpus and gpus_per_trial > len(gpus):
        raise SearchError(f"hydra.sweeper.gpus_per_trial={gpus_per_trial}, but only {len(gpus)} GPUs are visible")
    groups = [
        tuple(gpus[start : start + gpus_per_trial])
        for start in range(0, len(gpus) - gpus_per_trial + 1, gpus_per_trial)
        for _ in range(workers_per_gpu)
    ]
    num_slots = (len(groups) or min(num_cores, _MAX_CPU_SLOTS)) if n_jobs == "auto" else int(n_jobs)
    # Neighbouring slots get different GPUs.
    spread = [*groups[::workers_per_gpu]] * workers_per_gpu if groups else [()]
    num_threads = max(1, num_cores // num_slots)
    return [Slot(index, spread[index % len(spread)], num_threads) for index in range(num_slots)]


def visible_gpus() -> list[str]:
    """Names for CUDA_VISIBLE_DEVICES: those inherited, which are not to be renumbered, else 0, 1, … for each GPU.

    Asks the driver, not CUDA: a process that has touched CUDA must not be forked.
    """
    inherited = os.environ.get("CUDA_VISIBLE_DEVICES")
    if inherited is not None:
        names = [name.strip() for name in inherited.split(",")]
        return names[: names.index("-1")] if "-1" in names else [name for name in names if name]
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=20, check=True)
        count = sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    except (OSError, subprocess.SubprocessError):
        driver = Path("/proc/driver/nvidia/gpus")
        count = len(list(driver.iterdir())) if driver.is_dir() else 0
    return [str(index) for index in range(count)]
