"""Data are fetched before they are read, by one process of a machine."""

import pytest
from omegaconf import DictConfig, OmegaConf

from cnnlab.building import build_data
from cnnlab.data.mnist import MNIST
from conftest import PROJECT

CHOICES = {"data": "mnist", "augment": "none"}


@pytest.fixture
def config(without_data: None) -> DictConfig:
    parts = {part: OmegaConf.load(PROJECT / f"conf/{part}/{choice}.yaml") for part, choice in CHOICES.items()}
    config = OmegaConf.create({**parts, "seed": 0})
    assert isinstance(config, DictConfig)
    return config


@pytest.mark.parametrize(("local_rank", "fetches"), [(None, 1), ("0", 1), ("1", 0)])
def test_the_first_process_of_a_machine_fetches_the_data_before_they_are_read(
    local_rank: str | None, fetches: int, config: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    if local_rank is not None:
        monkeypatch.setenv("LOCAL_RANK", local_rank)
    fetched: list[bool] = []
    monkeypatch.setattr(MNIST, "prepare_data", lambda data: fetched.append(hasattr(data, "training")))
    data = build_data(config, "mps")
    assert fetched == [False] * fetches
    assert (data.dataset, data.accelerator) == ("mnist-5k", "mps")
