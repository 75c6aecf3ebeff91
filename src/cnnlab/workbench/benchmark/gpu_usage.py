"""Looks at a GPU now and then while other processes use it."""

import math
import shutil
import subprocess
import threading
from datetime import datetime
from statistics import mean
from typing import NamedTuple, Self

import torch

_SECONDS_BETWEEN = 0.4


class Used(NamedTuple):
    """What was seen in a span of time, NaN where nothing was.

    Attributes:
        memory: the most bytes in use, less those in use before.
        utilisation: the mean percentage of time in which the GPU computed, as nvidia-smi tells it.
    """

    memory: float
    utilisation: float


class GpuUsage:
    """A context in which a thread looks at the first visible CUDA GPU; on other devices it sees nothing."""

    def __init__(self, device: str) -> None:
        self._samples: list[tuple[datetime, Used]] = []
        self._before, self._ended = math.nan, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True) if device == "cuda" else None

    def __enter__(self) -> Self:
        if self._thread is not None:
            torch.cuda.empty_cache()
            self._before = memory_in_use()
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def between(self, begin: datetime, end: datetime) -> Used:
        seen = [used for moment, used in self._samples if begin <= moment <= end]
        if not seen:
            return Used(math.nan, math.nan)
        memory, utilisation = zip(*seen, strict=True)
        return Used(max(memory) - self._before, mean(utilisation))

    def _look(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN):
            self._samples.append((datetime.now(), Used(memory_in_use(), _utilisation())))


def memory_in_use() -> float:
    """Bytes of the GPU that all processes together use."""
    free, total = torch.cuda.mem_get_info()
    return total - free


def _utilisation() -> float:
    """The percentage that nvidia-smi tells, NaN where there is none or it does not know."""
    if shutil.which("nvidia-smi") is None:
        return math.nan
    gpu = f"--id=GPU-{torch.cuda.get_device_properties().uuid}"
    command = ["nvidia-smi", gpu, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return float(told) if told.isdigit() else math.nan
