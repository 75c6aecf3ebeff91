"""Two runs of an earlier version, one finished and one stopped in its second epoch, are of use as on their first day.

They are linear networks on 512 of the embedded digits, by `python train.py model=linear optimizer=sgd
optimizer.momentum=0 optimizer.nesterov=false scheduler=none logger=none trainer=cpu trainer.precision=32-true
data.train_size=512`, the stopped one with trainer.max_epochs=3 and optimizer.lr=0.02.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from cnnlab import load_run
from conftest import PROJECT, Finished, embedded_digits

# As the earlier version itself has gone on with the stopped run.
RESUMED = {"train/loss": 0.597352, "val/loss": 0.650246, "test/loss": 0.616189, "test/accuracy": 0.826}


@pytest.fixture(params=["finished_run", pytest.param("stopped_run", marks=pytest.mark.slow)])
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT / "tests/fixtures" / request.param, tmp_path / request.param))


def test_the_stopped_run_goes_on_to_the_same_numbers(train: Callable[..., Finished], tmp_path: Path) -> None:
    folder = shutil.copytree(PROJECT / "tests/fixtures/stopped_run", tmp_path / "stopped_run")
    run = train(f"resume={folder}")
    assert run.status == 0, run.err
    assert run.err == ""
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {name: metrics[name] for name in RESUMED} == pytest.approx(RESUMED, abs=2e-4)
    assert (metrics["best_epoch"], metrics["epochs"]) == (3, 3)
    best = torch.load(folder / "checkpoints/best.ckpt")
    assert [key for key in best["callbacks"] if key.startswith("Checkpoint")] != ["Checkpoint"]


def test_the_finished_run_knows_its_best_when_it_is_extended(train: Callable[..., Finished], tmp_path: Path) -> None:
    folder = shutil.copytree(PROJECT / "tests/fixtures/finished_run", tmp_path / "finished_run")
    best = (folder / "checkpoints/best.ckpt").read_bytes()
    assert "is finished" in train(f"resume={folder}").out
    run = train(f"resume={folder}", "trainer.max_steps=33", "trainer.max_epochs=3")
    assert run.status == 0, run.err
    metrics = json.loads((folder / "metrics.json").read_text())
    if metrics["best_epoch"] == 1:
        assert metrics["val/accuracy"] == 0.8
        assert (folder / "checkpoints/best.ckpt").read_bytes() == best
    assert metrics["epochs"] == 3


@pytest.mark.usefixtures("white_figures")
def test_an_earlier_run_evaluates_and_predicts(earlier: Path, command: Callable[..., Finished]) -> None:
    evaluated = command("evaluate.py", f"run={earlier}", "split=val")
    assert evaluated.status == 0, evaluated.err
    numbers = json.loads((earlier / "evaluation/val/metrics.json").read_text())
    best = torch.load(earlier / "checkpoints/best.ckpt")["callbacks"]["Checkpoint"]["best_metrics"]
    assert numbers["val/accuracy"] == pytest.approx(best["val/accuracy"], abs=1e-6)

    digits, labels = embedded_digits()
    model, datamodule, _ = load_run(earlier)
    inputs, targets = next(iter(datamodule.val_dataloader()))
    assert (model(inputs).argmax(dim=1) == targets).float().mean() > 0.7
    Image.fromarray(digits[700]).save("digit.png")
    predicted = command("predict.py", f"run={earlier}", "images=digit.png")
    assert predicted.status == 0, predicted.err
    assert str(labels[700]) in predicted.out


def test_a_new_run_goes_on_from_an_earlier_one_that_had_fewer_keys(train: Callable[..., Finished]) -> None:
    settings = ["model=linear", "optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=false", "scheduler=none"]
    settings += ["logger=none", "trainer=cpu", "trainer.precision=32-true", "data.train_size=512", "optimizer.lr=0.02"]
    source = PROJECT / "tests/fixtures/stopped_run"
    run = train(*settings, "trainer.max_epochs=3", f"init_from={source}")
    assert run.status == 0, run.err
    assert {name: run.metrics[name] for name in RESUMED} == pytest.approx(RESUMED, abs=2e-4)
