"""The network's own forward comes back, whatever capturing does; the graph serves only what it was captured for.

On a GPU a run with graphs has the numbers of one without.
"""

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from test_fast_loop import assert_same, saved
from torch import Tensor, nn

from cnnlab.models.tinyvgg import TinyVGG
from cnnlab.speed.cuda_graph import GraphedForward
from conftest import PROJECT, Finished

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
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "stream")
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: None)
    monkeypatch.setattr(torch.cuda, "default_generators", [Mock()])
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


LIGHTNINGS, NO_GRAPHS = ["trainer.fast_loop=false"], ["trainer.fast_loop=true"]
GRAPHS = [*NO_GRAPHS, "trainer.cuda_graph=true"]
TWO_EPOCHS = ["trainer.max_epochs=2", "data.val_size=100", "logger=none", "test=false"]


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[torch.cuda.CUDAGraph]:
    """Every launch of a graph."""
    launched: list[torch.cuda.CUDAGraph] = []
    replay = torch.cuda.CUDAGraph.replay

    def noted(graph: torch.cuda.CUDAGraph) -> None:
        launched.append(graph)
        replay(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", noted)
    return launched


@pytest.mark.gpu
@pytest.mark.parametrize(
    "settings",
    [
        ["model=linear"],
        ["model=tinyvgg", "trainer.gradient_clip_val=0.1"],
        ["model=tinyvgg", "model.norm=batch", "model.dropout=0.3", "augment=affine", "callbacks=ema"],
        ["model=tinyvgg", "optimizer=sgd", "optimizer.lr=0.05", "augment=mixup"],
        ["model=resnet"],  # only: zoo
    ],
    ids=lambda settings: ",".join(settings),
)
def test_the_same_bits_as_without_graphs_and_as_in_lightnings_loop(
    settings: list[str], on_gpu: Callable[..., Finished], replays: list[object]
) -> None:
    runs: list[Finished] = []
    for loop, launches in ((LIGHTNINGS, 0), (NO_GRAPHS, 0), (GRAPHS, 2 * 16)):
        replays.clear()
        runs.append(on_gpu(*TWO_EPOCHS, *settings, *loop))
        assert (runs[-1].status, runs[-1].err) == (0, "")
        assert len(replays) == launches  # forward and backward of 16 steps
    lightnings, without, graphed = (saved(run.folder) for run in runs)
    assert_same(without, lightnings)
    assert_same(graphed, lightnings)
    assert runs[2].numbers == runs[1].numbers == runs[0].numbers


NAMES = sorted(path.stem for path in (PROJECT / "conf/model").glob("*.yaml"))
# only: zoo
# textcnn reads texts, and has a test of its own where those are made.
NAMES.remove("textcnn")
# end only


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_every_network_learns_the_same_with_graphs(
    name: str, on_gpu: Callable[..., Finished], replays: list[object]
) -> None:
    """Not always to the bit: some networks have layers whose sums a GPU takes in any order."""
    if name == "timm":
        pytest.importorskip("timm")
    settings = [f"model={name}", "trainer.max_epochs=1", "optimizer.lr=0.001", "data.val_size=100", "logger=none"]
    plain, graphed = on_gpu(*settings, *LIGHTNINGS), on_gpu(*settings, *GRAPHS)
    assert (plain.status, plain.err, graphed.status, graphed.err) == (0, "", 0, "")
    assert len(replays) == 2 * 8, graphed.out
    for number in ("train/loss", "val/loss", "test/loss"):
        assert graphed.metrics[number] == pytest.approx(plain.metrics[number], rel=0.03)


@pytest.mark.gpu
def test_in_float32_nearly_the_same_as_without_graphs(on_gpu: Callable[..., Finished], replays: list[object]) -> None:
    """On an H100 the last bits of the weights differed, as cuDNN may choose other algorithms in a capture."""
    plain, graphed = (on_gpu(*TWO_EPOCHS, "trainer.precision=32-true", *loop) for loop in (LIGHTNINGS, GRAPHS))
    assert (graphed.status, graphed.err) == (0, "")
    assert len(replays) == 2 * 16
    assert graphed.metrics["val/loss"] == pytest.approx(plain.metrics["val/loss"], rel=0.01)


# only: zoo
@pytest.mark.gpu
def test_layers_that_are_frozen_at_first_learn_later(on_gpu: Callable[..., Finished], replays: list[object]) -> None:
    settings = [*TWO_EPOCHS, "model=tinyvgg", "callbacks=finetune", "callbacks.finetune.frozen_epochs=1"]
    plain, graphed = on_gpu(*settings, *LIGHTNINGS), on_gpu(*settings, *GRAPHS)
    assert (graphed.status, graphed.err) == (0, "")
    assert len(replays) == 2 * 8  # in the second epoch only
    assert_same(saved(graphed.folder)["state_dict"], saved(plain.folder)["state_dict"])


# end only
@pytest.mark.gpu
def test_a_network_that_waits_for_the_gpu_is_trained_without_a_graph(
    on_gpu: Callable[..., Finished], replays: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a failed capture leaves behind in torch would refuse its dropout every later random number."""
    forward = TinyVGG.forward

    def waiting(network: TinyVGG, inputs: Tensor) -> Tensor:
        outputs = forward(network, inputs)
        return outputs if outputs.mean().item() < 1e9 else outputs / 2

    monkeypatch.setattr(TinyVGG, "forward", waiting)
    settings = [*TWO_EPOCHS, "model=tinyvgg", "model.dropout=0.3"]
    plain, refused = on_gpu(*settings, *LIGHTNINGS), on_gpu(*settings, *GRAPHS)
    assert (refused.status, refused.err) == (0, "")
    assert not replays
    assert "TinyVGG cannot be captured" in refused.out
    assert_same(saved(refused.folder), saved(plain.folder))


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("setting", "why"),
    [("trainer.accumulate_grad_batches=2", "accumulated"), ("trainer.precision=16-mixed", "precision is 16-mixed")],
)
def test_what_only_lightnings_loop_can_do_is_done_there(
    setting: str, why: str, on_gpu: Callable[..., Finished], replays: list[Any]
) -> None:
    settings = [*TWO_EPOCHS, "model=tinyvgg", setting]
    plain, asked = on_gpu(*settings, *LIGHTNINGS), on_gpu(*settings, *GRAPHS)
    assert (asked.status, asked.err) == (0, "")
    assert why in asked.out
    assert not replays
    assert asked.numbers == plain.numbers
