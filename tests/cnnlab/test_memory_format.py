"""The order of images in memory suits network, threads and device, and stays what it was when the run began."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from cnnlab.memory_format import keeps_channels_last, settle_memory_format


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
