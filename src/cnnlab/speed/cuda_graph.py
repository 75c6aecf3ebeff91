"""A network's forward and backward as CUDA graphs: one launch each instead of one per layer."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class GraphedForward:
    """model.forward for training batches of one shape as a CUDA graph, for everything else as it was.

    A small network on a GPU waits for Python to launch its kernels, some sixty a step; a graph is launched once
    (torch.cuda.make_graphed_callables). Loss, metrics, gradient clipping, optimizer and schedule stay as they are.
    Capturing runs the network a few times: running statistics and random numbers are put back afterwards.

    Args:
        model: in training mode, on a CUDA device, without hooks.
        sample: a training batch (N, *input_shape) on that device.

    Raises:
        RuntimeError: if the network cannot be captured, because it waits for the device, moves data from the CPU or has
            hooks.
    """

    def __init__(self, model: nn.Module, sample: Tensor) -> None:
        self.model, self.shape = model, sample.shape
        self._forward = model.forward
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        random_state = torch.cuda.get_rng_state(sample.device)
        try:
            with _undone_if_it_fails(sample.device):
                torch.cuda.make_graphed_callables(model, (sample.clone(),))
            self._graphed = model.forward
        except AssertionError as error:  # how torch refuses hooks and buffers that are trained
            raise RuntimeError(str(error)) from error
        finally:
            model.__dict__.pop("forward", None)
            torch.cuda.set_rng_state(random_state, sample.device)
            with torch.no_grad():
                for name, buffer in model.named_buffers():
                    buffer.copy_(buffers[name])
        model.forward = self

    def __call__(self, inputs: Tensor) -> Tensor:
        fits = inputs.shape == self.shape and self.model.training and torch.is_grad_enabled()
        outputs: Tensor = self._graphed(inputs) if fits else self._forward(inputs)
        return outputs

    def remove(self) -> None:
        """Give the model its own forward back and the graph's memory free."""
        self.model.__dict__.pop("forward", None)


@contextmanager
def _undone_if_it_fails(device: torch.device) -> Iterator[None]:
    """Put back what a capture that fails leaves behind: its own stream, and random numbers only for the capture."""
    stream, generator = torch.cuda.current_stream(device), torch.cuda.default_generators[device.index or 0]
    state = generator.clone_state()
    try:
        yield
    except BaseException:
        torch.cuda.set_stream(stream)
        generator.graphsafe_set_state(state)
        raise
