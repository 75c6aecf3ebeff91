"""last.ckpt is where a run stopped; best.ckpt and metrics.json are the same weights."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cnnlab.callbacks.checkpoint import Checkpoint
from cnnlab.classifier import Classifier
from cnnlab.errors import Interrupted
from cnnlab.speed import lightning_internals
from conftest import Finished

QUICK = ["logger=none", "model=linear", "data.val_size=100", "trainer.limit_val_batches=1.0"]


def saved(folder: Path | None, name: str) -> dict[str, Any]:
    assert folder is not None
    return dict(torch.load(folder / f"checkpoints/{name}.ckpt"))


def scoring(monkeypatch: pytest.MonkeyPatch, *scores: float) -> None:
    """Let validations find these accuracies, one after the other."""
    scoring_and_losing(monkeypatch, *((score, 1.0) for score in scores))


def scoring_and_losing(monkeypatch: pytest.MonkeyPatch, *found: tuple[float, float]) -> None:
    """Let validations find these pairs of accuracy and loss, one after the other."""
    values: Iterator[tuple[float, float]] = iter(found)

    def log(self: Classifier) -> None:
        self.log_dict(dict(zip(("val/accuracy", "val/loss"), next(values), strict=True)))

    monkeypatch.setattr(Classifier, "on_validation_epoch_end", log)


def test_the_last_epoch_is_saved_whatever_was_best(
    smoke: Callable[..., Finished], train: Callable[..., Finished]
) -> None:
    run = smoke(*QUICK, "optimizer.lr=0", "scheduler=none", "trainer.max_epochs=3", "test=false")
    assert (saved(run.folder, "best")["epoch"], saved(run.folder, "last")["epoch"]) == (0, 2)
    assert saved(run.folder, "last")["global_step"] == 24
    longer = train(f"resume={run.folder}", "trainer.max_epochs=4")
    assert [line.split()[1] for line in longer.out.splitlines() if line.startswith("epoch")] == ["4/4"]
    assert (run.metrics["best_epoch"], run.metrics["epochs"]) == (1, 4)


@pytest.mark.parametrize("callbacks", ["default", "ema"])
def test_a_validation_in_mid_epoch_scores_what_is_saved(
    callbacks: str, smoke: Callable[..., Finished], command: Callable[..., Finished]
) -> None:
    decay = ["callbacks.weight_average.decay=0.5"] if callbacks == "ema" else []
    settings = [f"callbacks={callbacks}", *decay, "trainer.val_check_interval=0.4", "trainer.max_epochs=2"]
    run = smoke(*QUICK, *settings, "scheduler=none")
    assert run.status == 0, run.err
    best = saved(run.folder, "best")
    assert best["global_step"] in (3, 6, 11, 14)
    assert run.metrics["best_epoch"] == best["epoch"] + 1
    assert run.metrics["train/loss"] < 2.2
    assert saved(run.folder, "last")["global_step"] == 16
    # only: workbench
    for split in ("val", "test") if callbacks == "default" else ("test",):
        assert command("evaluate.py", f"run={run.folder}", f"split={split}").status == 0
        again = json.loads((run.folder / f"evaluation/{split}/metrics.json").read_text())  # type: ignore[operator]
        for name in (f"{split}/accuracy", f"{split}/loss"):
            assert again[name] == pytest.approx(run.metrics[name], abs=2e-6)
    # end only


def test_numbers_of_other_weights_are_left_out(smoke: Callable[..., Finished]) -> None:
    settings = ["monitor=train/loss", "mode=min", "trainer.val_check_interval=0.4", "test=false"]
    run = smoke(*QUICK, *settings)
    assert saved(run.folder, "best")["global_step"] == 8
    assert "train/loss" in run.metrics
    assert "val/loss" not in run.metrics
    at_the_end = smoke(*QUICK, "monitor=train/loss", "mode=min", "test=false")
    assert "val/loss" in at_the_end.metrics


def test_a_kill_between_best_and_last_changes_neither_numbers_nor_weights(
    smoke: Callable[..., Finished], train: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "outputs/runs/killed"
    save_last = lightning_internals.save_last

    def killed(callback: Checkpoint, trainer: Any) -> None:
        if trainer.current_epoch == 1:
            raise Interrupted(2)
        save_last(callback, trainer)

    monkeypatch.setattr(lightning_internals, "save_last", killed)
    scoring(monkeypatch, 0.5, 0.9)
    settings = ["trainer.max_epochs=4", "scheduler=none", "test=false", f"hydra.run.dir={folder}"]
    assert smoke(*QUICK, *settings).status == 130
    assert (saved(folder, "best")["epoch"], saved(folder, "last")["epoch"]) == (1, 0)
    before = (folder / "checkpoints/best.ckpt").read_bytes()

    monkeypatch.setattr(lightning_internals, "save_last", save_last)
    scoring(monkeypatch, 0.6, 0.7, 0.6)
    resumed = train(f"resume={folder}")
    assert resumed.status == 0, resumed.err
    resumed.folder = folder
    assert (resumed.metrics["val/accuracy"], resumed.metrics["best_epoch"], resumed.metrics["epochs"]) == (0.9, 2, 4)
    assert (folder / "checkpoints/best.ckpt").read_bytes() == before


def test_of_equal_scores_the_one_with_the_lower_loss_is_best(
    smoke: Callable[..., Finished], train: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring_and_losing(monkeypatch, (0.9, 0.5), (0.9, 0.4), (0.9, 0.4), (0.8, 0.1), (0.9, 0.3))
    run = smoke(*QUICK, "scheduler=none", "test=false", "trainer.max_epochs=4")
    assert (run.metrics["best_epoch"], run.metrics["val/loss"], saved(run.folder, "best")["epoch"]) == (2, 0.4, 1)
    assert train(f"resume={run.folder}", "trainer.max_epochs=5").status == 0
    assert (run.metrics["best_epoch"], run.metrics["val/loss"], saved(run.folder, "best")["epoch"]) == (5, 0.3, 4)


def test_a_best_that_was_deleted_is_forgotten(
    smoke: Callable[..., Finished], train: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring(monkeypatch, 0.9, 0.4)
    run = smoke(*QUICK, "scheduler=none", "test=false")
    assert run.folder is not None
    (run.folder / "checkpoints/best.ckpt").unlink()
    assert train(f"resume={run.folder}", "trainer.max_epochs=2").status == 0
    assert (run.metrics["val/accuracy"], run.metrics["best_epoch"]) == (0.4, 2)
    assert saved(run.folder, "best")["epoch"] == 1


def test_a_monitor_that_nobody_logs_is_told(smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Classifier, "on_validation_epoch_end", lambda self: self.log("val/other", 1.0))
    run = smoke(*QUICK)
    assert run.status == 1
    assert "'val/accuracy'" in run.err
    assert len(run.err.splitlines()) == 1


def test_without_a_validation_the_last_weights_count(
    smoke: Callable[..., Finished], train: Callable[..., Finished], command: Callable[..., Finished]
) -> None:
    run = smoke(*QUICK, "trainer.max_steps=12", "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=3")
    assert run.status == 0, run.err
    assert run.folder is not None
    assert (run.metrics["best_epoch"], run.metrics["epochs"]) == (None, 2)
    assert not [name for name in run.metrics if name.startswith("val/")]
    assert "best epoch   none of 2: no validation; the weights are the last ones" in run.out
    assert [path.name for path in (run.folder / "checkpoints").iterdir()] == ["last.ckpt"]
    assert saved(run.folder, "last")["global_step"] == 12
    # only: workbench
    evaluated = command("evaluate.py", f"run={run.folder}")
    assert "has no best.ckpt, for no validation chose one: its last weights are used" in evaluated.out
    again = json.loads((run.folder / "evaluation/test/metrics.json").read_text())
    assert again["test/accuracy"] == run.metrics["test/accuracy"]
    # end only
    shown = train(f"resume={run.folder}")
    assert "best epoch   none of 2" in shown.out
