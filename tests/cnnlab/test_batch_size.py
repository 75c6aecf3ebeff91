"""data.batch_size=auto: halved until a step fits, told with the rate that suits it, and kept by the run."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from cnnlab import batch_size
from cnnlab.batch_size import largest_that_fits, scaled_rate, settle_batch_size
from cnnlab.building import build_classifier, build_data, build_model
from cnnlab.errors import UserError
from cnnlab.models.linear import Linear
from cnnlab.speed.hardware import Hardware
from conftest import Finished
from test_config import composed


def out_of_memory_above(most: int, tried: list[int]) -> Callable[[int], None]:
    def step(size: int) -> None:
        tried.append(size)
        if size > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    return step


def test_the_size_is_halved_until_a_step_fits() -> None:
    tried: list[int] = []
    assert largest_that_fits(out_of_memory_above(70, tried), 300) == 64
    assert tried == [256, 128, 64]
    with pytest.raises(UserError, match="not even one sample fits into the GPU's memory"):
        largest_that_fits(out_of_memory_above(0, []), 4)


def test_the_rate_grows_with_sgds_batch_and_with_the_root_of_adams() -> None:
    assert scaled_rate(composed("optimizer=sgd", "optimizer.lr=0.01"), 16) == "optimizer.lr=0.16"
    assert scaled_rate(composed("optimizer=adam", "optimizer.lr=0.01"), 16) == "optimizer.lr=0.04"


def test_a_device_with_little_memory(
    without_data: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The CPU stands in for a GPU on which a step of this network takes at most 100 samples."""

    def forward(network: Linear, x: Tensor) -> Tensor:
        if len(x) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(network, x)

    whole = Linear.forward
    monkeypatch.setattr(Linear, "forward", forward)
    monkeypatch.setattr(batch_size, "LIMITED", ("cpu",))
    config = composed("model=linear", "data.batch_size=auto", "data.train_size=300")
    data = build_data(config)
    model = build_model(config, data.input_shape, data.num_classes)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    saved = tmp_path / ".hydra/config.yaml"
    saved.parent.mkdir()
    OmegaConf.save(config, saved)
    with caplog.at_level(logging.INFO):
        machine = Hardware("cpu", "32-true", "a CPU")
        settle_batch_size(config, tmp_path, machine, build_classifier(config, model, data), data)
    assert data.batch_size == config.data.batch_size == OmegaConf.load(saved).data.batch_size == 64
    assert "batch   256 samples a step do not fit" in caplog.text
    assert "batch   64 samples a step fit into the GPU's memory; if optimizer.lr=0.005 is good for 32" in caplog.text
    assert "try optimizer.lr=0.0071" in caplog.text
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(random_state, torch.get_rng_state())


def test_a_run_keeps_its_size(smoke: Callable[..., Finished]) -> None:
    run = smoke("model=linear", "data.batch_size=auto", "logger=none", "test=false", "scheduler=none")
    assert run.status == 0, run.err
    assert "batch   32 samples a step, the default: memory is no limit on the cpu" in run.out
    assert run.metrics["batch_size"] == 32
    assert OmegaConf.load(f"{run.folder}/.hydra/config.yaml").data.batch_size == 32
    assert smoke("data.batch_size=auto", "trainer.devices=2").err == (
        "error: data.batch_size=auto needs a single device; give a number\n"
    )


@pytest.mark.gpu
def test_as_many_samples_as_a_gpu_has_memory_for(
    without_data: None, on_gpu: Callable[..., Finished], tmp_path: Path
) -> None:
    run = on_gpu("data.batch_size=auto", "data.train_size=4000", "logger=none", "test=false")
    assert (run.status, run.err) == (0, "")
    assert run.metrics["batch_size"] == 512
    assert "batch   512 samples a step fit into the GPU's memory; if optimizer.lr=0.005 is good for 32" in run.out

    config = composed("model.hidden_units=256", "data.batch_size=auto", "data.train_size=1024")
    data = build_data(config, "cuda")
    classifier = build_classifier(config, build_model(config, data.input_shape, data.num_classes), data)
    machine = Hardware("cuda", "32-true", "a GPU")
    random_state = torch.cuda.get_rng_state()
    torch.cuda.empty_cache()
    _, size = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 600e6) / size)
    try:  # 400 MB for the outputs of one layer and 512 samples
        settle_batch_size(config, tmp_path, machine, classifier, data)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert data.batch_size in (16, 32, 64, 128, 256)
    assert torch.equal(torch.cuda.get_rng_state(), random_state)
