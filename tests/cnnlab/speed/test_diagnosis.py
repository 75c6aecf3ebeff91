"""One sentence that names what costs most and what to try."""

from typing import Any

import pytest

from cnnlab.speed.diagnosis import StageTimes, diagnose


def run(
    num_steps: int = 1000, device: str = "cpu", batch_size: int = 32, num_samples: int = 55_000, **rest: Any
) -> StageTimes:
    stages = ("data_wait", "copy", "optimizer", "overhead", "validation")
    shares = {name: rest.pop(name, 0.02) for name in stages}
    shares["forward_backward"] = 1 - sum(shares.values())
    return StageTimes(shares, num_steps, device, batch_size, num_samples, **rest)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (run(), "the network took 92% of the time: on a CPU only a smaller network or a GPU is faster"),
        (run(gpu_unused=True), "the network took 92% of the time on the CPU: this machine has a GPU, try trainer=gpu"),
        (
            run(core_share=0.4, overhead=0.45),
            "training was kept from a core 60% of the time: it is faster when no other programs use the CPU",
        ),
        (run(core_share=0.8), "the network took 92% of the time: on a CPU only a smaller network or a GPU is faster"),
        (run(core_share=0.4, device="mps"), "the network took 92% of the time"),
        (
            run(core_share=0.4, data_wait=0.4, in_memory=False),
            "data wait 40%: the network waits for its samples; try data.in_memory=true if the data fit into memory, "
            "or more data.num_workers",
        ),
        (run(num_steps=8, data_wait=0.9), "8 steps are too few to say where the time goes"),
        (
            run(data_wait=0.4, in_memory=False),
            "data wait 40%: the network waits for its samples; try data.in_memory=true if the data fit into memory, "
            "or more data.num_workers",
        ),
        (
            run(data_wait=0.4, overhead=0.35),
            "data wait 40%: the network waits for its samples; try a cheaper augmentation (augment=shift or none)",
        ),
        (
            run(overhead=0.45, data_wait=0.3),
            "Python around the steps 45%: 32 samples are too few per step; try data.batch_size=128 or trainer=fast",
        ),
        (
            run(overhead=0.45, batch_size=128, is_fast=True),
            "Python around the steps 45%: 128 samples are too few per step; try data.batch_size=512",
        ),
        (
            run(overhead=0.45, num_samples=700),
            "Python around the steps 45%: 32 samples are too few per step; try data.batch_size=64 or trainer=fast",
        ),
        (
            run(overhead=0.45, num_samples=400, is_fast=True),
            "Python around the steps 45%: 32 samples are too few per step; try a larger network",
        ),
        (
            run(validation=0.6),
            "validation 60%: try trainer.check_val_every_n_epoch=5, a larger data.eval_batch_size or a smaller "
            "data.val_size",
        ),
        (
            run(device="cuda", device_busy=0.17),
            "the GPU was idle 83% of the time: 32 samples are too few per step; "
            "try data.batch_size=256 or trainer=fast",
        ),
        (
            run(device="cuda", device_busy=0.17, batch_size=1024, is_fast=True),
            "the GPU was idle 83% of the time: 1024 samples are too few per step; try data.batch_size=2048",
        ),
        (
            run(device="cuda", device_busy=0.3, copy=0.4),
            "copying 40%: batches are long on their way to the device; try data.device=auto, which keeps the data on "
            "the GPU",
        ),
        (
            run(device="cuda", device_busy=0.95, overhead=0.5, data_wait=0.4),
            "the GPU computed 95% of the time: only a smaller network would be faster",
        ),
        (run(device="cuda", device_busy=0.8, overhead=0.4), "the network took 54% of the time"),
        (run(device="mps", overhead=0.4), "the network took 54% of the time"),
    ],
    ids=lambda value: value.replace("/", " ")[:40] if isinstance(value, str) else None,
)
def test_the_sentence(seen: StageTimes, expected: str) -> None:
    assert diagnose(seen) == expected
