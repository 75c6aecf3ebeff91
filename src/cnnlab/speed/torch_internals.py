"""The private names of torch that training uses; no other module of it touches one."""

import torch
from torch.optim import Optimizer


def sleep_on_device(cycles: int) -> None:
    """Keep the present CUDA device busy for so many clock cycles, while Python goes on to launch work behind them."""
    torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]


def leave_unscaling_to_the_trainer(optimizer: Optimizer) -> None:
    """Unmark a fused optimizer as one that takes float16's scale out of the gradients in its own step."""
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
