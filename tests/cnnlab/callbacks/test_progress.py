"""A bar where someone watches, clean lines everywhere."""

import io
import re
import sys
from collections.abc import Callable

import pytest

from cnnlab.callbacks import progress
from conftest import Finished


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run = smoke("logger=none", "test=false")
    assert run.status == 0
    assert "epoch 1/1 " in terminal.getvalue()
    assert "0/8" in terminal.getvalue()


def test_the_bar_shows_the_scores_so_far_and_the_time_left(
    smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LOOKS", 0)
    run = smoke("logger=none", "test=false", "trainer.max_epochs=2", "scheduler=none")
    bars = [line for line in terminal.getvalue().split("\r") if line.startswith("epoch 2/2")]
    # The last look is at seven of eight batches.
    last = re.search(r"8/8, ([\d.]+)% loss ([\d.]+)  00:00 left", bars[-1])
    assert last is not None, bars
    assert float(last[1]) / 100 == pytest.approx(run.metrics["train/accuracy"], abs=0.1)
    assert float(last[2]) == pytest.approx(run.metrics["train/loss"], abs=0.2)


def test_one_clean_line_per_epoch_elsewhere(smoke: Callable[..., Finished]) -> None:
    settings = ["model=linear", "trainer.max_epochs=10", "trainer.limit_train_batches=1", "scheduler=none"]
    run = smoke("logger=none", "test=false", *settings)
    lines = [line for line in run.out.splitlines() if line.startswith("epoch")]
    assert [line[6:11] for line in lines] == [f"{number:2}/10" for number in range(1, 11)]
    for line in lines:
        number = r"[\d.,]+"
        scores = rf"{number}% loss {number}"
        assert re.fullmatch(rf"epoch ../10  train {scores}  val {scores}  {number} s  {number}/s", line)
        assert len(line) <= 80
    assert run.err == ""
    assert run.folder is not None
    assert all(line in (run.folder / "train.log").read_text(encoding="utf-8") for line in lines)


def test_an_epoch_without_a_validation_says_so(smoke: Callable[..., Finished]) -> None:
    settings = ["trainer.max_epochs=3", "scheduler=none", "trainer.check_val_every_n_epoch=2"]
    run = smoke("logger=none", "test=false", "model=linear", "~callbacks.checkpoint", *settings)
    lines = [line for line in run.out.splitlines() if line.startswith("epoch")]
    assert ["no validation" in line for line in lines] == [True, False, True]
    assert ["  val " in line for line in lines] == [False, True, False]
    assert "train/loss" in run.metrics
    assert "val/loss" not in run.metrics, "the last weights were not validated"
