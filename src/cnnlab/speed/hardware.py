"""The device of a run and the fastest precision that it really computes in."""

import logging
import os
import platform
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from cnnlab.errors import UserError, did_you_mean
from cnnlab.speed.allocator import keep_freed_memory
from cnnlab.speed.cores import usable_cores

log = logging.getLogger(__name__)

_ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")

# Older names for the same.
_FULL_NAMES = {"16": "16-mixed", "bf16": "bf16-mixed", "32": "32-true", "64": "64-true"}

# Whoever sets one of these has chosen the number of threads.
_NUMBERS_OF_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

# bfloat16 tensor cores came with Ampere.
_BF16_CAPABILITY = (8, 0)


@dataclass(frozen=True)
class Hardware:
    """What a run computes on.

    Attributes:
        accelerator: cuda, mps or cpu.
        precision: as lightning.Trainer names it.
        device: the name a reader knows it by.
        num_threads: CPU threads of this process, None for as many as there are.
    """

    accelerator: str
    precision: str
    device: str
    num_threads: int | None = None


def choose(
    accelerator: str, precision: str | int, num_threads: int | None = None, key: str = "trainer", num_processes: int = 1
) -> Hardware:
    """Resolve what conf/trainer leaves to the machine; `apply` makes the process use it.

    Args:
        num_threads: CPU threads of the run on this machine, None for `default_threads`.
        num_processes: of the run on this machine, which share the threads out equally.
        key: what the accelerator was asked for with, for errors.

    Raises:
        UserError: if a GPU is asked for that cannot be used, with the reason and what to use instead; for a number of
            threads that is none.
    """
    if num_threads is not None and (type(num_threads) is not int or num_threads < 1):
        raise UserError(f"trainer.num_threads must be a whole number from 1 on, or null, got {num_threads!r}")
    accelerator = resolve_accelerator(accelerator, key)
    num_threads = max(1, num_threads // num_processes) if num_threads else default_threads(num_processes)
    name = device_name(accelerator, num_threads)
    return Hardware(accelerator, resolve_precision(precision, accelerator), name, num_threads)


def apply(machine: Hardware) -> None:
    """Set this process up for the chosen hardware: threads, memory, and the search for a GPU that is not there."""
    if machine.num_threads is not None:
        torch.set_num_threads(machine.num_threads)
    if machine.accelerator == "cpu":
        keep_freed_memory()
    if not torch.cuda.is_available():
        # Optimizers ask for a GPU in every step. Lightning makes that a search for NVIDIA's library, 0.1 ms where there
        # is none, so that a process that looked for a GPU can still fork; without a GPU there is nothing to guard.
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def default_threads(num_processes: int = 1) -> int:
    """One thread for each core of this process's share, unless the environment says how many threads a process has.

    PyTorch itself knows of affinity and hyper-threads, but not of a container's quota and of slow cores.
    """
    chosen = any(name in os.environ for name in _NUMBERS_OF_THREADS)
    number = torch.get_num_threads()
    return number if chosen else max(1, min(number, usable_cores() // num_processes))


def resolve_accelerator(requested: str, key: str = "trainer", for_processes: bool = False) -> str:
    """Turn trainer.accelerator into cuda, mps or cpu; "auto" takes the first of these that is usable.

    Args:
        for_processes: whether a run in several processes asks, for the advice in errors.

    Raises:
        UserError: if there is none of that name, or a GPU is asked for that cannot be used, with the reason and what
            to use instead.
    """
    if requested not in _ACCELERATORS:
        name = "trainer.accelerator" if key == "trainer" else key
        choices = ", ".join(_ACCELERATORS)
        raise UserError(f"{name} must be one of {choices}, got {requested!r}{did_you_mean(requested, _ACCELERATORS)}")
    if requested == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if requested == "gpu":
        requested = "mps" if torch.backends.mps.is_available() else "cuda"
    if requested == "cuda" and not torch.cuda.is_available():
        asked, instead = (f"{key}=ddp", f"{key}=ddp_cpu") if for_processes else (f"{key}=gpu", f"{key}=cpu")
        raise UserError(f"{asked} cannot be used: {why_no_cuda()}; {key}=auto or {instead} will run here")
    if requested == "mps" and not torch.backends.mps.is_available():
        raise UserError(f"{key}=mps needs a Mac with Apple silicon; {key}=auto or {key}=cpu will run here")
    return requested


def why_no_cuda() -> str:
    """Tell apart a CPU-only build of torch, an old driver, hidden devices and no GPU."""
    if torch.version.cuda is None and torch.version.hip is None:
        return (
            f"this torch ({torch.__version__}) is a CPU-only build; "
            "install one with CUDA, on Linux plainly: pip install --force-reinstall torch"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())
        if "too old" in reason:
            return f"the NVIDIA driver is too old for this torch (CUDA {torch.version.cuda}); update the driver"
        if "NVIDIA driver" in reason:
            return "there is no NVIDIA GPU here, or no NVIDIA driver"
        if "No CUDA GPUs" in reason:
            return "no NVIDIA GPU is visible; is CUDA_VISIBLE_DEVICES hiding it?"
        return reason
    return "torch finds no NVIDIA GPU"


def resolve_precision(requested: str | int, accelerator: str) -> str:
    """Turn precision into what is computed in, as Lightning names it.

    "auto" is bf16-mixed where the hardware computes in bfloat16, else 32-true; a CPU takes bfloat16 for mixed float16.
    """
    if requested != "auto":
        precision = _FULL_NAMES.get(str(requested), str(requested))
        if precision == "16-mixed" and accelerator == "cpu":
            log.info(
                "note    a CPU does not compute in mixed float16: bf16-mixed is used for trainer.precision=%s",
                requested,
            )
            return "bf16-mixed"
        return precision
    if accelerator == "cuda":
        fast = torch.version.hip is not None or torch.cuda.get_device_capability() >= _BF16_CAPABILITY
    else:
        fast = accelerator == "cpu" and cpu_has_bf16()
    return "bf16-mixed" if fast else "32-true"


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies in bfloat16 (AVX512-bf16 or AMX); emulation would be slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def device_name(accelerator: str, num_threads: int | None = None) -> str:
    """Return the name a reader knows the hardware by: the GPU's, or the CPU's with its number of threads."""
    if accelerator == "cuda":
        return torch.cuda.get_device_name()
    name = "Apple GPU" if accelerator == "mps" else _cpu_name()
    num_threads = num_threads or torch.get_num_threads()
    return name if accelerator == "mps" else f"{name}, {num_threads} thread{'s' * (num_threads > 1)}"


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    return platform.processor() or platform.machine()
