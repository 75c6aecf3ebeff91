"""One sentence on where the time of a run went, and what to try."""

from collections.abc import Mapping
from dataclasses import dataclass

# Shares of the time from which on a stage is worth a word.
_WAITING, _COPYING, _VALIDATING, _AROUND, _IDLE = 0.25, 0.25, 0.4, 0.3, 0.25
_HAD_A_CORE = 0.75  # less, and other programs decide how long everything takes
_BUSY = 0.85  # of a GPU: what Python does meanwhile costs nothing
# In fewer steps, what happens only once (memory, kernels, worker processes) hides the rest.
_FEWEST_STEPS = 50
_FEWEST_PER_EPOCH = 10
_LARGEST_BATCH = 512


@dataclass(frozen=True)
class StageTimes:
    """What a diagnosis needs to know of a run.

    Attributes:
        shares: of the time: data_wait, copy, forward_backward, optimizer, overhead, validation; they sum to 1.
        num_steps: training steps done.
        device: cuda, mps or cpu.
        device_busy: share of its time in which a CUDA device computed; None if not known.
        core_share: of the time in which the thread that trains could have been at work, the share in which it was.
        batch_size, num_samples: of training.
        in_memory: whether the data lie in memory, so that no worker reads them.
        is_fast: whether trainer=fast would change nothing.
        gpu_unused: whether the machine has a GPU that the run did not use.
    """

    shares: Mapping[str, float]
    num_steps: int
    device: str
    batch_size: int
    num_samples: int
    device_busy: float | None = None
    in_memory: bool = True
    is_fast: bool = False
    gpu_unused: bool = False
    core_share: float = 1.0


def diagnose(run: StageTimes) -> str:
    """The largest share of the time that can be avoided with what to try, else what the network's own share means."""
    if run.num_steps < _FEWEST_STEPS:
        steps = "1 step is" if run.num_steps == 1 else f"{run.num_steps} steps are"
        return f"{steps} too few to say where the time goes"
    if run.device_busy is not None and run.device_busy >= _BUSY:
        return f"the GPU computed {run.device_busy:.0%} of the time: only a smaller network would be faster"
    if busy := _other_programs(run):
        return busy
    stages = [_data_wait(run), _copying(run), _validation(run), _around_the_steps(run)]
    if avoidable := [stage for stage in stages if stage is not None]:
        return max(avoidable)[1]
    if run.device_busy is not None and 1 - run.device_busy >= _IDLE:
        return (
            f"the GPU was idle {1 - run.device_busy:.0%} of the time: {run.batch_size} samples are too few per step; "
            f"try {_more_work_per_step(run, 1 / max(run.device_busy, 0.01))}"
        )
    network = run.shares["forward_backward"] + run.shares["optimizer"]
    text = f"the network took {network:.0%} of the time"
    if run.gpu_unused:
        return f"{text} on the CPU: this machine has a GPU, try trainer=gpu"
    return f"{text}: on a CPU only a smaller network or a GPU is faster" if run.device == "cpu" else text


def _other_programs(run: StageTimes) -> str | None:
    """Without a core, all shares are those of waiting for one. A wait for workers' samples is no sign of that."""
    waits_for_workers = not run.in_memory and run.shares["data_wait"] >= _WAITING
    if run.device != "cpu" or waits_for_workers or run.core_share >= _HAD_A_CORE:
        return None
    without = 1 - run.core_share
    return f"training was kept from a core {without:.0%} of the time: it is faster when no other programs use the CPU"


def _data_wait(run: StageTimes) -> tuple[float, str] | None:
    share = run.shares["data_wait"]
    if share < _WAITING:
        return None
    in_workers = "data.in_memory=true if the data fit into memory, or more data.num_workers"
    remedy = "a cheaper augmentation (augment=shift or none)" if run.in_memory else in_workers
    return share, f"data wait {share:.0%}: the network waits for its samples; try {remedy}"


def _copying(run: StageTimes) -> tuple[float, str] | None:
    share = run.shares["copy"]
    if share < _COPYING:
        return None
    remedy = "data.device=auto, which keeps the data on the GPU" if run.in_memory else _more_work_per_step(run, 2)
    return share, f"copying {share:.0%}: batches are long on their way to the device; try {remedy}"


def _validation(run: StageTimes) -> tuple[float, str] | None:
    share = run.shares["validation"]
    if share < _VALIDATING:
        return None
    remedy = "trainer.check_val_every_n_epoch=5, a larger data.eval_batch_size or a smaller data.val_size"
    return share, f"validation {share:.0%}: try {remedy}"


def _around_the_steps(run: StageTimes) -> tuple[float, str] | None:
    share = run.shares["overhead"]
    if run.device != "cpu" or share < _AROUND:
        return None
    text = f"Python around the steps {share:.0%}: {run.batch_size} samples are too few per step"
    return share, f"{text}; try {_more_work_per_step(run, 4)}"


def _more_work_per_step(run: StageTimes, factor: float) -> str:
    """A batch size about `factor` times as large, as long as an epoch keeps ten steps; trainer=fast; a network."""
    size = run.batch_size
    largest = min(max(_LARGEST_BATCH, 2 * size), run.num_samples // _FEWEST_PER_EPOCH)
    while size < run.batch_size * factor and 2 * size <= largest:
        size *= 2
    remedies = [f"data.batch_size={size}"] * (size > run.batch_size) + ["trainer=fast"] * (not run.is_fast)
    return " or ".join(remedies) or "a larger network"
