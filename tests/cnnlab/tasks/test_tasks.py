"""Several labels at once, and values: trained, judged by their own metrics, resumed, and with the leaner loop."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnnlab.data.npz import Npz
from conftest import Finished, embedded_digits

LABELS = ("data=npz", "data.path=pairs.npz", "data.targets=multilabel", "classifier=multilabel")
VALUES = ("data=npz", "data.path=sums.npz", "data.targets=values", "classifier=regression")
SHORT = ("trainer.accelerator=cpu", "logger=none", "scheduler=none", "data.batch_size=20", "optimizer.lr=0.01")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two digits side by side, small: which of three kinds are there, and their sum."""
    digits, classes = embedded_digits()
    chosen = np.random.default_rng(0).permutation(5_000)[:400].reshape(200, 2)
    x = np.concatenate([digits[chosen[:, 0], ::2, ::2], digits[chosen[:, 1], ::2, ::2]], axis=2)
    left, right = classes[chosen].T.astype(int)
    kinds = np.stack([(left % 2 == 0) | (right % 2 == 0), (left > 6) | (right > 6), left == right], axis=1)
    names = ["even", "large", "twins"]
    kept = {"x_train": x[:160], "x_test": x[160:]}
    np.savez(tmp_path / "pairs.npz", **kept, y_train=kinds[:160], y_test=kinds[160:], class_names=names)
    np.savez(tmp_path / "sums.npz", **kept, y_train=(left + right)[:160] / 9, y_test=(left + right)[160:] / 9)
    return tmp_path


def of_epochs(run: Finished, name: str) -> list[float]:
    """What the lines of the epochs say of a number of the validation."""
    return [float(value) for value in re.findall(rf"^epoch .* val .*{name} (-?[\d.]+)", run.out, flags=re.MULTILINE)]


def test_several_labels(train: Callable[..., Finished], pairs: Path) -> None:
    judged = ("classifier.metrics=[f1,auroc]", "monitor=val/f1", "classifier.class_weights=balanced")
    run = train(*LABELS, *SHORT, *judged, "trainer.max_epochs=3")
    assert run.status == 0, run.err
    assert run.metrics.keys() >= {"val/accuracy", "val/f1", "val/auroc", "test/loss", "test/f1", "test/auroc"}
    assert "3 labels: even" in run.out
    f1 = of_epochs(run, "f1")
    assert run.metrics["best_epoch"] == 1 + int(np.argmax(f1))
    assert run.metrics["val/f1"] == pytest.approx(max(f1), abs=1e-4)

    lean = train(*LABELS, *SHORT, *judged, "trainer.max_epochs=3", "trainer=fast", "trainer.accelerator=cpu")
    assert lean.status == 0, lean.err
    assert "Lightning's own loop" not in lean.out
    numbers = [name for name in run.metrics if name.startswith(("train/", "val/", "test/"))]
    assert {name: lean.metrics[name] for name in numbers} == {name: run.metrics[name] for name in numbers}

    first = train(*LABELS, *SHORT, *judged, "trainer.max_epochs=1")
    longer = train(f"resume={first.folder}", "trainer.max_epochs=3")
    assert longer.status == 0, longer.err
    assert of_epochs(longer, "f1") == f1[1:]


def test_values(train: Callable[..., Finished], pairs: Path) -> None:
    run = train(*VALUES, *SHORT, "trainer.max_epochs=4", "monitor=val/r2", "scheduler=plateau", "optimizer.lr=0.03")
    assert run.status == 0, run.err
    r2 = of_epochs(run, "r2")
    assert run.metrics["best_epoch"] == 1 + int(np.argmax(r2))
    assert run.metrics["val/loss"] == pytest.approx(run.metrics["val/mse"], abs=1e-5)
    assert run.metrics["val/mae"] ** 2 <= run.metrics["val/mse"]


def test_samples_of_a_rare_class_come_as_often_as_others(tmp_path: Path) -> None:
    """Whether they lie in memory or are read by workers; the same again in the same epoch, others in the next."""
    x, y = np.random.default_rng(0).random((400, 8, 8), dtype=np.float32), (np.arange(400) % 10 == 0).astype(int)
    np.savez(tmp_path / "rare.npz", x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])
    drawn: list[list[int]] = []
    for in_memory, epoch in ((True, 0), (False, 0), (True, 1)):
        data = Npz(str(tmp_path / "rare.npz"), balanced=True, in_memory=in_memory, num_workers=0)
        data.setup()
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)  # type: ignore[union-attr]
        drawn.append([label for _, labels in loader for label in labels.tolist()])
    assert np.mean(drawn, axis=1) == pytest.approx(0.5, abs=0.1)
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*LABELS[:3],), "Classifier learns classes, but the data hold multilabel; classifier=multilabel"),
        ((*LABELS[:2], "classifier=multilabel"), "y_train must be .N,., got .160, 3.;.*data.targets=multilabel"),
        ((*VALUES[:1], "data.path=sums.npz", *LABELS[2:]), r"y_train must be \(N, num_labels\)"),
        ((*LABELS, "data.balanced=true"), "balanced=true needs samples of one class each"),
        ((*VALUES, "classifier.class_weights=balanced"), "unknown key classifier.class_weights: Regression has no"),
        ((*VALUES, "classifier.metrics=[f1]"), "metrics: expected some of .*r2.*, got 'f1'"),
        ((*LABELS, "classifier.metrics=[f1]"), "monitor must be one of .*classifier.metrics=.average_precision."),
        ((*LABELS, "classifier.loss._target_=torch.nn.SoftMarginLos"), "torch.nn has no .*did you mean SoftMarginLoss"),
        ((*LABELS, "classifier.loss={_target_: torch.nn.L1Loss, reductio: sum}"), "did you mean reduction"),
    ],
)
def test_what_does_not_fit_is_one_line(
    arguments: tuple[str, ...], words: str, train: Callable[..., Finished], pairs: Path
) -> None:
    run = train(*arguments, *SHORT)
    assert run.status == 1
    assert len(run.err.splitlines()) == 1, run.err
    assert re.search(words, run.err), run.err
