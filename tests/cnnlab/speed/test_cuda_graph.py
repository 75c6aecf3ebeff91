"""The network's own forward comes back, whatever capturing does; the graph serves only what it was captured for."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cnnlab.models.tinyvgg import TinyVGG
from cnnlab.speed.cuda_graph import GraphedForward
from conftest import Finished

Capture = Callable[[nn.Module, tuple[Tensor]], nn.Module]


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """Stands for torch's capturing on a GPU: runs the network three times, then replaces its forward."""
    calls: list[torch.Size] = []

    def capture(model: nn.Module, sample: tuple[Tensor]) -> nn.Module:
        forward = model.forward
        for _ in range(3):
            forward(*sample)
            torch.rand(1)

        def graphed(inputs: Tensor) -> Tensor:
            calls.append(inputs.shape)
            return forward(inputs)

        model.forward = graphed
        return model

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", capture)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: torch.get_rng_state())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: torch.set_rng_state(state))
    return calls


def test_capturing_leaves_no_trace_in_the_model(captured: list[torch.Size]) -> None:
    model = TinyVGG((1, 28, 28), 10, norm="batch")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sample = torch.randn(4, 1, 28, 28)
    random_state = torch.get_rng_state()
    graph = GraphedForward(model, sample)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    graph.remove()
    assert "forward" not in model.__dict__
    model(torch.randn(4, 1, 28, 28))
    assert not captured


def test_the_graph_takes_training_batches_of_its_shape_only(captured: list[torch.Size]) -> None:
    model = TinyVGG((1, 28, 28), 10)
    GraphedForward(model, torch.randn(4, 1, 28, 28))
    model(torch.randn(4, 1, 28, 28))
    assert captured == [(4, 1, 28, 28)]
    model(torch.randn(3, 1, 28, 28))
    with torch.no_grad():
        model(torch.randn(4, 1, 28, 28))
    model.eval()(torch.randn(4, 1, 28, 28))
    assert len(captured) == 1


@pytest.mark.parametrize("refusal", [RuntimeError, AssertionError])
def test_a_network_that_cannot_be_captured_is_as_it_was(
    refusal: type[Exception], monkeypatch: pytest.MonkeyPatch, captured: object
) -> None:
    def fail(model: nn.Module, sample: object) -> None:
        model.forward = None  # type: ignore[assignment]
        raise refusal("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fail)
    model = TinyVGG((1, 28, 28), 10)
    with pytest.raises(RuntimeError, match="not permitted"):
        GraphedForward(model, torch.randn(4, 1, 28, 28))
    assert model(torch.randn(4, 1, 28, 28)).shape == (4, 10)


def test_a_run_without_a_gpu_does_without_graphs(smoke: Callable[..., Finished], captured: list[torch.Size]) -> None:
    run = smoke("trainer.fast_loop=true", "trainer.cuda_graph=true", "model=linear", "logger=none", "test=false")
    assert run.status == 0
    assert not captured
