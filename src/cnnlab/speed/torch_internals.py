"""The private names of torch that training uses; no other module of it touches one."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer


def sleep_on_device(cycles: int) -> None:
    """Keep the present CUDA device busy for so many clock cycles, while Python goes on to launch work behind them."""
    torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]


def leave_unscaling_to_the_trainer(optimizer: Optimizer) -> None:
    """Unmark a fused optimizer as one that takes float16's scale out of the gradients in its own step."""
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]


def is_compiled(module: nn.Module) -> bool:
    return module._compiled_call_impl is not None


def compile_training(
    module: nn.Module, backend: str | Callable[..., Any], on_failure: Callable[[Exception], None]
) -> None:
    """Compile a module in place for its training; in eval mode it stays what it was.

    Where the compiler fails, which it does at the first call, the module goes on without it. A copy of the module and
    its state dict know nothing of the compilation.

    Args:
        on_failure: called once, with the compiler's error.
    """
    from torch._dynamo.exc import TorchDynamoException  # takes a second

    # The compiler's C++ toolbox warns on every machine without a GPU.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    module.compile(backend=backend)
    compiled: Any = module._compiled_call_impl

    def call(*arguments: Any, **keywords: Any) -> Any:
        if not module.training:
            return module._call_impl(*arguments, **keywords)  # type: ignore[no-untyped-call]
        try:
            return compiled(*arguments, **keywords)
        except TorchDynamoException as error:
            # Where the mistake is the network's own, it shows here.
            outputs = module._call_impl(*arguments, **keywords)  # type: ignore[no-untyped-call]
            module._compiled_call_impl = None
            on_failure(error)
            return outputs

    module._compiled_call_impl = call
