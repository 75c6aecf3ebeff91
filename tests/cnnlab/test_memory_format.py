"""The order of images in memory suits network, threads and device, and stays what it was when the run began."""

import copy  # only: zoo
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from cnnlab.building import build_model  # only: zoo
from cnnlab.memory_format import keeps_channels_last, settle_memory_format
from test_config import composed  # only: zoo


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def network(*norms: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3), *(nn.BatchNorm2d(channels) for channels in norms))


@pytest.mark.parametrize(
    ("setting", "num_threads", "norms", "expected"),
    [
        ("auto", 2, (8, 20, 40), False),
        ("auto", 1, (8, 20, 40), True),
        ("auto", 2, (8, 24, 32), True),
        ("auto", 2, (), True),
        (True, 2, (8, 20, 40), True),
        (False, 1, (), False),
    ],
)
def test_batch_norms_by_several_threads_need_whole_cache_lines(
    setting: bool | str, num_threads: int, norms: tuple[int, ...], expected: bool, threads: Callable[[int], None]
) -> None:
    threads(num_threads)
    config = OmegaConf.create({"trainer": {"channels_last": setting, "accelerator": "cpu"}})
    assert keeps_channels_last(config, network(*norms)) == expected


def test_a_gpu_always_has_channels_last(threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    threads(2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    config = OmegaConf.create({"trainer": {"channels_last": "auto", "accelerator": "auto"}})
    assert keeps_channels_last(config, network(20))


@pytest.mark.parametrize(("in_channels", "stride", "expected"), [(6, 2, False), (16, 2, True), (6, 1, True)])
def test_what_onednn_computes_wrongly_is_contiguous(
    in_channels: int, stride: int, expected: bool, threads: Callable[[int], None]
) -> None:
    threads(1)
    model = nn.Sequential(nn.Conv2d(1, in_channels, 3), nn.Conv2d(in_channels, 8, 1, stride=stride))
    config = OmegaConf.create({"trainer": {"channels_last": "auto", "accelerator": "cpu"}})
    assert keeps_channels_last(config, model) == expected


def test_a_run_that_asks_for_wrong_gradients_is_contiguous_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Conv2d(6, 8, 1, stride=2)).to(memory_format=torch.channels_last)
    config = OmegaConf.create({"trainer": {"channels_last": True, "accelerator": "cpu"}})
    with caplog.at_level("INFO"):
        settle_memory_format(config, tmp_path, model)
    assert "not on this CPU, where oneDNN computes the layer 1 wrongly" in caplog.text
    assert config.trainer.channels_last is False
    assert all(parameter.is_contiguous() for parameter in model.parameters())


# only: zoo
def test_a_narrow_resnet_has_the_gradient_of_float64() -> None:
    """In channels_last order this ended the process, or gave another gradient."""
    overrides = ["model=resnet", "model.widths=[6,8,10]", "model.blocks_per_stage=2", "trainer.accelerator=cpu"]
    torch.manual_seed(0)
    model = build_model(composed(*overrides), (1, 28, 28), 10)
    exact = copy.deepcopy(model).double().to(memory_format=torch.contiguous_format)
    images, labels = torch.randn(16, 1, 28, 28), torch.arange(16) % 10
    ours = torch.autograd.grad(nn.functional.cross_entropy(model(images), labels), list(model.parameters()))
    loss = nn.functional.cross_entropy(exact(images.double()), labels)
    theirs = torch.autograd.grad(loss, list(exact.parameters()))
    for number, (gradient, expected) in enumerate(zip(ours, theirs, strict=True)):
        torch.testing.assert_close(gradient.double(), expected, rtol=1e-2, atol=1e-4, msg=f"parameter {number}")


# end only
def test_what_auto_means_is_saved_with_the_run(threads: Callable[[int], None], tmp_path: Path) -> None:
    saved = tmp_path / ".hydra/config.yaml"
    saved.parent.mkdir()
    config = OmegaConf.create({"trainer": {"channels_last": "auto", "accelerator": "cpu"}})
    OmegaConf.save(config, saved)
    threads(2)
    settle_memory_format(config, tmp_path, network(20))
    threads(1)
    resumed = OmegaConf.load(saved)
    settle_memory_format(resumed, tmp_path, network(20))  # type: ignore[arg-type]
    assert config.trainer.channels_last is resumed.trainer.channels_last is False
