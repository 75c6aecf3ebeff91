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


@pytest.mark.parametrize(
    ("trainer", "variables", "fetches"),
    [
        ({}, {}, 1),
        ({"devices": 2}, {}, 1),
        ({"devices": 2}, {"LOCAL_RANK": "0"}, 1),
        ({"devices": 2}, {"LOCAL_RANK": "1"}, 0),
        ({"devices": 2}, {"LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "none"}, 1),
        ({}, {"LOCAL_RANK": "1"}, 1),
    ],
    ids=["alone", "the first", "the first, later", "the second", "the second of torchrun", "alone, too"],
)
def test_the_first_process_of_a_machine_fetches_the_data_before_they_are_read(
    trainer: dict[str, int],
    variables: dict[str, str],
    fetches: int,
    config: DictConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that torchrun has started take turns: whoever comes later finds the files."""
    config.trainer = trainer
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    fetched: list[bool] = []
    monkeypatch.setattr(MNIST, "prepare_data", lambda data: fetched.append(hasattr(data, "training")))
    data = build_data(config, "mps")
    assert fetched == [False] * fetches
    assert (data.dataset, data.accelerator) == ("mnist-5k", "mps")
