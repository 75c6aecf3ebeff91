"""The learning-rate range test on real digits, and what it reads from curves of known shape."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir

from cnnlab.errors import UserError
from cnnlab.runs import ranks
from cnnlab.workbench.inspection.range_test import _for_a_test, read
from conftest import PROJECT, Finished

SMALL = ["model=linear", "trainer=cpu", "data.train_size=400", "steps=60"]


def test_the_script_suggests_a_rate_and_leaves_only_its_own_folder(
    command: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def test_split_read(*_: object) -> None:
        raise AssertionError("the test split was read")

    monkeypatch.setattr("cnnlab.data.datamodule.DataModule.test_dataloader", test_split_read)
    found = command("scripts/find_lr.py", *SMALL)
    assert found.status == 0, found.err
    (line,) = (line.strip() for line in found.out.splitlines() if "optimizer.lr=" in line)
    assert 1e-3 < float(line.partition("=")[2]) < 3e-2  # README's default is 0.005
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {
        "outputs/find_lr/mnist-linear-adamw.png",
        "outputs/find_lr/mnist-linear-adamw.csv",
    }
    table = pd.read_csv(tmp_path / "outputs/find_lr/mnist-linear-adamw.csv")
    assert table["learning_rate"].iloc[0] == pytest.approx(1e-5)
    assert table["learning_rate"].is_monotonic_increasing
    assert table["smoothed_loss"].min() < 0.6 * table["smoothed_loss"].iloc[0]
    refused = command("scripts/find_lr.py", *SMALL, "lowest=1.0")
    assert refused.err == "error: expected 0 < lowest < highest, got lowest=1.0 and highest=1.0\n"


def test_it_takes_one_process_whatever_the_run_takes() -> None:
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        config = compose("train", ["trainer=ddp_cpu"])
    assert not ranks.is_alone(config.trainer)
    assert ranks.is_alone(_for_a_test(config, 60).trainer)


def curve(best: float, noise: float = 0.05) -> tuple[list[float], list[float]]:
    """Losses that fall to their lowest point at a rate and rise behind it."""
    rates = np.geomspace(1e-5, 1, 150)
    distance = np.log10(rates / best)
    losses = 0.5 + np.clip(-distance, 0, 2) * 0.9 + np.clip(distance, 0, 9) ** 2 * 3
    return rates.tolist(), (losses + np.random.default_rng(0).normal(0, noise, 150)).tolist()


@pytest.mark.parametrize("best", [3e-3, 3e-2])
def test_the_suggestion_is_a_third_of_the_best_rate(best: float) -> None:
    found = read(*curve(best))
    assert found.best_rate == pytest.approx(best, rel=0.3)
    assert found.suggestion == pytest.approx(found.best_rate / 3, rel=0.05)
    assert found.warning == ""


def test_a_loss_that_still_falls_is_told() -> None:
    assert read(*curve(10)).warning == "the loss was still falling at the highest rate; give a larger highest="


def test_a_loss_that_never_falls_is_refused() -> None:
    rates, _ = curve(1)
    with pytest.raises(UserError, match="the loss does not fall at any rate from 1e-05 to 1"):
        read(rates, [2.3 + 0.001 * step for step in range(150)])


@pytest.mark.gpu
def test_on_a_gpu(command: Callable[..., Finished]) -> None:
    found = command("scripts/find_lr.py", *SMALL, "trainer.accelerator=cuda")
    assert (found.status, found.err) == (0, "")
    assert "optimizer.lr=" in found.out
