"""cnnlab.train and cnnlab.load_run: what the command line does, from Python."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import cnnlab
from cnnlab.errors import UserError
from conftest import SMOKE, Finished


@pytest.fixture
def here(tmp_path: Path, without_data: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_gives_the_numbers_of_the_command_line(here: Path, smoke: Callable[..., Finished]) -> None:
    metrics, folder = cnnlab.train([*SMOKE, "model=linear", "seed=3"])
    assert folder.parent == here / "outputs/runs"
    assert metrics == json.loads((folder / "metrics.json").read_text())
    times = ("train_seconds", "images_per_second")
    typed = smoke("model=linear", "seed=3").metrics
    assert {k: v for k, v in metrics.items() if k not in times} == {k: v for k, v in typed.items() if k not in times}


def test_the_best_epoch_comes_back(here: Path) -> None:
    metrics, folder = cnnlab.train(["trainer=cpu", "trainer.max_epochs=2", "data.train_size=640", "model.norm=batch"])
    for name in (folder, str(folder), "latest"):
        model, data, config = cnnlab.load_run(name)
        assert not model.training
        correct = [(model(inputs).argmax(1) == labels).float() for inputs, labels in data.test_dataloader()]
        assert torch.cat(correct).mean() == pytest.approx(metrics["test/accuracy"], abs=1e-6)
        assert config.data.train_size == 640
        assert data.class_names[7] == "7"


def test_logging_and_hydra_are_left_as_they_were(here: Path) -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    cnnlab.train(SMOKE)
    assert (list(root.handlers), root.level) == before
    with pytest.raises(UserError, match="tinyvg"):
        cnnlab.train(["model=tinyvg"])
    assert (list(root.handlers), root.level) == before


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=tinyvg"], "unknown model 'tinyvg': choose from .*did you mean tinyvgg"),
        (["optimizer.lr=-1", *SMOKE], "optimizer: Invalid learning rate: -1"),
        (["-m", "seed=0,1"], "cnnlab.train makes one run of overrides like model=tinyvgg, got -m seed=0,1"),
        (["sweep=mine"], "cnnlab.train makes one run"),
        ("model=tinyvgg", r"overrides must be a list like \[\"model=tinyvgg\""),
    ],
)
def test_mistakes_are_one_line(overrides: list[str], message: str, here: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        cnnlab.train(overrides)
    assert "\n" not in str(caught.value)
    assert not list(here.glob("outputs/runs/*"))


def test_latest_is_the_run_that_was_started_last(
    smoke: Callable[..., Finished], train: Callable[..., Finished]
) -> None:
    nothing = train("resume=latest")
    assert nothing.status == 1
    assert re.fullmatch("error: latest: there are no runs in .*outputs/runs; .*\n", nothing.err)
    smoke("hydra.run.dir=outputs/runs/zebra", "scheduler=none", "test=false")
    smoke("hydra.run.dir=outputs/runs/ant", "scheduler=none", "test=false")
    resumed = train("resume=latest", "trainer.max_epochs=2")
    assert resumed.status == 0, resumed.err
    assert "going on after epoch 1 of 2\n" in resumed.out
    assert "run folder   outputs/runs/ant" in resumed.out


def test_what_cannot_be_loaded(smoke: Callable[..., Finished], tmp_path: Path) -> None:
    def refused(message: str) -> None:
        with pytest.raises(UserError, match=message) as caught:
            cnnlab.load_run(folder)
        assert "\n" not in str(caught.value)

    folder = tmp_path
    refused("is not a run folder")
    folder = smoke("logger=none", "test=false").folder or tmp_path
    config = folder / ".hydra/config.yaml"
    text = config.read_text()
    config.write_text(text.replace("torch.optim.AdamW", "os.system"))
    refused("asks for os.system")
    config.write_text(text.replace("hidden_units: 10", "hidden_units: 12"))
    refused("does not fit the run's model")
    config.write_text(text)
    environment = folder / "environment.json"
    environment.write_text(environment.read_text().replace("mnist-5k", "mnist"))
    refused("was trained on mnist .* found now is mnist-5k")
    for name in ("best", "last"):
        (folder / f"checkpoints/{name}.ckpt").unlink()
    refused("has no checkpoints/best.ckpt")


def test_a_run_on_ones_own_data_is_found_again(here: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 9, 9)), np.arange(60) % 3
    np.savez("own, (1).npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    _, folder = cnnlab.train(["data=npz", "data.path=own, (1).npz", "trainer=smoke", "data.batch_size=8"])
    assert folder.name.endswith("_own-1-tinyvgg")
    model, data, _ = cnnlab.load_run(folder)
    inputs, _ = next(iter(data.val_dataloader()))
    assert model(inputs).shape == (6, 3)
