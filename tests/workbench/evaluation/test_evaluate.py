"""`python evaluate.py`: the numbers of training again, and what lies behind them."""

import base64
import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import cnnlab.workbench.evaluation.evaluate
from cnnlab.errors import UserError
from cnnlab.workbench import canvas
from cnnlab.workbench.evaluation import figures, reliability_figure
from cnnlab.workbench.inspection import through_the_net
from cnnlab.workbench.run_reports import learning_curves, run_report
from conftest import Finished

DEFAULT = {"confusion_matrix.png", "most_wrong.png", "random_predictions.png", "reliability.png", "curves.png"}
DEFAULT |= {"suspicious_labels.png"}
ALL = {*DEFAULT, "filters.png", "through_the_net.png", "robustness.png"}


def content(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


@pytest.fixture
def evaluate(command: Callable[..., Finished]) -> Callable[..., Finished]:
    return lambda *arguments: command("evaluate.py", *arguments)


@pytest.mark.usefixtures("white_figures")
def test_the_test_split_of_the_latest_run(evaluate: Callable[..., Finished], trained: Path) -> None:
    before = content(trained / "metrics.json")
    done = evaluate()
    assert (done.status, done.err) == (0, "")
    folder = trained / "evaluation/test"
    metrics = content(folder / "metrics.json")
    assert {name: metrics[name] for name in ("test/accuracy", "test/loss")} == {
        name: before[name] for name in ("test/accuracy", "test/loss")
    }
    assert metrics["num_images"] == 500
    assert metrics["eval_images_per_second"] > 0
    assert f"accuracy                   {before['test/accuracy']:.2%}" in done.out
    assert "row = " not in done.out  # that stands under the matrix
    assert {path.name for path in folder.glob("*.png")} == DEFAULT
    written = done.out.partition("evaluation/test\n")[2]
    for path in folder.glob("*.png"):
        assert path.name in written
    assert content(trained / "metrics.json") == before


@pytest.fixture(scope="module")
def evaluated(_trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose test split was evaluated twice."""
    run = Path(shutil.copytree(_trained_once, tmp_path_factory.mktemp("evaluated") / "run"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CNNLAB_DATA_DIR", raising=False)
        first = cnnlab.workbench.evaluation.evaluate.evaluate(run, seed=1)
        drawn = (first.folder / "random_predictions.png").read_bytes()
        cnnlab.workbench.evaluation.evaluate.evaluate(run, seed=1)
    assert (first.folder / "random_predictions.png").read_bytes() == drawn
    return run


def test_every_sample_is_in_the_table(evaluated: Path) -> None:
    folder = evaluated / "evaluation/test"
    rows, metrics = table(folder / "predictions.csv"), content(folder / "metrics.json")
    assert [int(row["index"]) for row in rows] == list(range(500))
    right = np.array([row["true"] == row["predicted"] for row in rows])
    assert right.mean() == metrics["test/accuracy"]
    losses = np.array([float(row["loss"]) for row in rows])
    assert losses.mean() == pytest.approx(metrics["test/loss"], abs=1e-5)
    shares = np.array([float(row["true_probability"]) for row in rows])
    assert -np.log(shares[shares > 1e-3]) == pytest.approx(losses[shares > 1e-3], abs=1e-3)
    # expected calibration error by hand: 15 bins of equal width
    sure = np.array([float(row["probability"]) for row in rows])
    bins = np.digitize(sure, np.linspace(0, 1, 16)[1:-1])
    gaps = [abs(right[bins == i].mean() - sure[bins == i].mean()) * (bins == i).mean() for i in set(bins.tolist())]
    assert metrics["test/expected_calibration_error"] == pytest.approx(sum(gaps), abs=1e-4)


def test_each_class(evaluated: Path) -> None:
    folder = evaluated / "evaluation/test"
    rows, metrics = table(folder / "predictions.csv"), content(folder / "metrics.json")
    for row in table(folder / "per_class.csv"):
        name = row["class"]
        hits = sum(one["true"] == one["predicted"] == name for one in rows)
        answered, true = (sum(one[column] == name for one in rows) for column in ("predicted", "true"))
        shares = hits / answered, hits / true, 2 * hits / (answered + true)
        assert tuple(float(row[share]) for share in ("precision", "recall", "F1")) == pytest.approx(shares)
        assert metrics["per_class"][name]["F1"] == pytest.approx(shares[2], abs=1e-6)
    mean = np.mean([scores["recall"] for scores in metrics["per_class"].values()])
    assert metrics["test/macro_recall"] == pytest.approx(mean, abs=1e-6)


@pytest.mark.usefixtures("white_figures")
def test_the_validation_split_with_every_figure(
    evaluate: Callable[..., Finished], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[list[float], str]] = []
    draw = through_the_net.draw

    def remember(sample: Any, activations: Any, probabilities: Any, class_names: Any, title: str, **more: Any) -> bytes:
        drawn.append((probabilities.tolist(), title))
        return draw(sample, activations, probabilities, class_names, title, **more)

    monkeypatch.setattr(through_the_net, "draw", remember)
    done = evaluate(f"run={trained}", "split=val", "plots=all", "index=7")
    assert (done.status, done.err) == (0, "")
    folder = trained / "evaluation/val"
    metrics, before = content(folder / "metrics.json"), content(trained / "metrics.json")
    assert (metrics["val/accuracy"], metrics["val/loss"]) == (before["val/accuracy"], before["val/loss"])
    assert {path.name for path in folder.glob("*.png")} == ALL
    ((probabilities, title),) = drawn
    answer = table(folder / "predictions.csv")[7]
    assert f"{max(probabilities):.6f}" == answer["probability"]
    assert title.endswith(f"#7: true {answer['true']}, predicted {answer['predicted']} ({max(probabilities):.1%})")
    rows = table(folder / "robustness.csv")
    assert {row["corruption"] for row in rows} >= {"shift", "rotation", "scale", "brightness", "noise", "blur"}
    for row in rows:
        if row["severity"] == "0":  # all 500 images as they are
            assert float(row["accuracy"]) == pytest.approx(metrics["val/accuracy"], abs=1e-6)
        if row["severity"] == "5":
            assert float(row["accuracy"]) < metrics["val/accuracy"]


def test_one_page_holds_everything(evaluated: Path) -> None:
    page = (evaluated / "report.html").read_text(encoding="utf-8")
    metrics = content(evaluated / "evaluation/test/metrics.json")
    metrics_of_run = content(evaluated / "metrics.json")
    assert f"<b>{metrics['test/accuracy']:.2%}</b>" in page
    assert "$" not in page.partition("<h2")[0].partition("</style>")[2]
    for name in DEFAULT:
        content_of_file = (evaluated / "evaluation/test" / name).read_bytes()
        assert f"data:image/png;base64,{base64.b64encode(content_of_file).decode()}" in page
        with Image.open(io.BytesIO(content_of_file)) as picture:
            assert min(picture.size) > 300
    linked = re.findall(r"(?:src|href)=\"([^\"]{0,40})", page)
    assert all(target.startswith(("data:", "#")) for target in linked)
    assert "split=test" in page
    curves = learning_curves.read(evaluated)
    assert {name: list(splits["val"]) for name, splits in curves.items()} == {"loss": [1, 2, 3], "accuracy": [1, 2, 3]}
    assert curves["accuracy"]["val"][metrics_of_run["best_epoch"]] == pytest.approx(metrics_of_run["val/accuracy"])
    assert page.count("Learning curves") == 2, "in the contents and above the figure"
    assert content(evaluated / "environment.json")["versions"]["torch"] in page
    assert "trainer.max_epochs=3" in page


@pytest.mark.usefixtures("white_figures")
def test_the_training_split_of_files_with_wrong_labels(
    smoke: Callable[..., Finished], evaluate: Callable[..., Finished], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for name, shade in (("dark & low", 40), ("light", 200)):
        (tmp_path / "shades" / name).mkdir(parents=True)
        for number in range(40):
            wrong = 240 - shade if number < 2 else shade
            pixels = rng.normal(wrong, 10, (8, 8)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"shades/{name}/{number:02}.png")
    data = ["data=image_folder", "data.root=shades", "data.train_size=null", "data.val_fraction=0.2"]
    more = ["data.batch_size=8", "trainer.max_epochs=20", "trainer.limit_train_batches=1.0", "optimizer.lr=0.02"]
    run = smoke(*data, *more, "model=linear", "test=false")
    assert run.folder is not None, run.err
    done = evaluate("split=train")
    assert (done.status, done.err) == (0, "")
    folder = run.folder / "evaluation/train"
    assert len(table(folder / "predictions.csv")) == content(folder / "metrics.json")["num_images"] == 58
    doubtful = table(folder / "suspicious_labels.csv")
    assert doubtful
    assert {Path(row["file"]).name for row in doubtful} <= {"00.png", "01.png"}
    for row in doubtful:
        assert Path(row["file"]).parent.name == row["label"] != row["predicted"]
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "dark &amp; low" in page
    assert "dark & low" not in page


def test_figures_for_papers(evaluated: Path, tmp_path: Path) -> None:
    files = {}
    with canvas.also_saved_as("pdf") as vectors:
        files["a.png"] = reliability_figure.draw(np.array([0.9, 0.2]), np.array([True, False]), 15, 0.1, "title")
    files = canvas.with_vectors(files | {"b.csv": b""}, vectors, "pdf")
    assert sorted(files) == ["a.pdf", "a.png", "b.csv"]
    assert files["a.pdf"].startswith(b"%PDF")
    with canvas.also_saved_as("svg") as vectors:
        once, again = (reliability_figure.draw(np.array([0.9]), np.array([True]), 15, 0.1, "t") for _ in range(2))
    assert once == again
    (svg,) = vectors.values()
    assert b"<svg" in svg


def test_figures_are_in_tensorboard_and_once_only(evaluated: Path) -> None:
    events = EventAccumulator(str(evaluated), size_guidance={"images": 0})
    events.Reload()
    tags = events.Tags()
    assert {f"evaluation/test/{name.removesuffix('.png')}" for name in DEFAULT} <= set(tags["images"])
    assert len(events.Images("evaluation/test/confusion_matrix")) == 1
    assert "1_epochs/val/accuracy" in tags["scalars"]


@pytest.mark.slow
def test_another_seed_draws_other_lots(evaluate: Callable[..., Finished], evaluated: Path, trained: Path) -> None:
    evaluate("run=latest", "seed=2")
    one, other = (run / "evaluation/test/random_predictions.png" for run in (evaluated, trained))
    assert one.read_bytes() != other.read_bytes()


@pytest.mark.usefixtures("white_figures")
def test_a_run_without_a_test_can_be_tested(evaluate: Callable[..., Finished], smoke: Callable[..., Finished]) -> None:
    folder = smoke("test=false").folder
    assert folder is not None
    with pytest.raises(UserError, match=r"; python evaluate\.py run=outputs/runs/\S+ makes up for it"):
        run_report.write(folder)
    assert evaluate("run=latest").status == 0
    assert "of 500 images right" in run_report.write(folder, figures=False)


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((1, 40), id="signals", marks=pytest.mark.slow),
        pytest.param((2, 8, 8, 8), id="volumes"),
        pytest.param((5, 12, 12), id="five channels", marks=pytest.mark.slow),
    ],
)
def test_data_of_any_shape(
    shape: tuple[int, ...], evaluate: Callable[..., Finished], train: Callable[..., Finished], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, *shape)).astype(np.float32), np.arange(90) % 3
    np.savez(tmp_path / "any.npz", x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])
    run = train("data=npz", "data.path=any.npz", "trainer.max_epochs=1", "data.batch_size=16", "model.norm=batch")
    assert run.folder is not None, run.err
    done = evaluate("plots=all")
    assert (done.status, done.err) == (0, "")
    drawn = {path.name for path in (run.folder / "evaluation/test").glob("*.png")}
    assert drawn == ALL - {"robustness.png"}  # corruptions are of images


@pytest.mark.usefixtures("white_figures")
def test_a_model_without_convolutions(evaluate: Callable[..., Finished], smoke: Callable[..., Finished]) -> None:
    folder = smoke("model=linear").folder
    assert folder is not None
    assert evaluate("plots=all").status == 0
    assert (folder / "evaluation/test/filters.png").is_file()


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["split=tset"], "split must be train, val or test, got 'tset'; did you mean test?"),
        (["plots=al"], "plots must be default or all, got 'al'; did you mean all?"),
        (["format=pgn"], "format must be one of png, svg, pdf, got 'pgn'; did you mean png?"),
        (["run=nowhere"], "nowhere is not a run folder"),
        (["plots=all", "index=500"], "index must be from 0 to 499, the samples of the split, got 500"),
        (["accelerator=gpu"], "accelerator=gpu cannot be used"),
        (["accelerator=gpy"], "accelerator must be one of auto, cpu, gpu, cuda, mps, got 'gpy'; did you mean gpu?"),
        (["shifts=14"], "shifts must be a whole number from 0 to 13 for data of 28x28, got 14"),
        (["shifts=-1"], "shifts must be a whole number from 0 to 13 for data of 28x28, got -1"),
        (["runn=latest"], "did you mean run?"),
    ],
)
def test_mistakes_are_told_in_one_line_and_leave_nothing(
    arguments: list[str],
    words: str,
    evaluate: Callable[..., Finished],
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    before = sorted(trained.rglob("*"))
    done = evaluate(*arguments)
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert words in line
    assert sorted(trained.rglob("*")) == before


def test_other_data_are_refused(
    evaluate: Callable[..., Finished], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = content(trained / "environment.json") | {"dataset": "mnist"}
    (trained / "environment.json").write_text(json.dumps(record))
    done = evaluate()
    assert done.status == 1
    assert "was trained on mnist" in done.err
    assert "what is found now is mnist-5k" in done.err
    assert "Traceback" not in done.err


def test_a_run_without_a_checkpoint(evaluate: Callable[..., Finished], trained: Path) -> None:
    for name in ("best", "last"):
        (trained / f"checkpoints/{name}.ckpt").unlink()
    done = evaluate()
    assert done.status == 1
    assert "has no checkpoints/best.ckpt and no last.ckpt: no epoch was finished" in done.err


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize("precision", [pytest.param("64-true", marks=pytest.mark.slow), "bf16-true"])
def test_a_run_in_another_precision_than_float32(
    precision: str, command: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = command("train.py", "trainer=smoke", "model=linear", "data.train_size=256", f"trainer.precision={precision}")
    assert run.status == 0, run.err
    types = set()
    draw = figures.galleries

    def galleries(shown: figures.Subject) -> dict[str, bytes]:
        types.update(parameter.dtype for parameter in shown.saved.model.parameters())
        return draw(shown)

    monkeypatch.setattr(figures, "galleries", galleries)
    done = command("evaluate.py", "run=latest")
    assert done.status == 0, done.err
    assert types == {torch.float32}
    assert run.folder is not None
    evaluated = content(run.folder / "evaluation/test/metrics.json")
    assert evaluated["precision"] == run.metrics["precision"] == precision


@pytest.mark.gpu
def test_a_gpu_and_a_cpu_agree_on_a_run(
    evaluate: Callable[..., Finished], command: Callable[..., Finished], trained: Path, tmp_path: Path
) -> None:
    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for device in ("gpu", "cpu"):
        done = evaluate(f"accelerator={device}")
        assert (done.status, done.err) == (0, "")
        answers = table(trained / "evaluation/test/predictions.csv")
        found[device] = content(trained / "evaluation/test/metrics.json"), [row["predicted"] for row in answers]
    (there, theirs), (here, ours) = found["gpu"], found["cpu"]
    assert there["test/loss"] == pytest.approx(here["test/loss"], rel=0.02)
    assert there["test/accuracy"] == pytest.approx(here["test/accuracy"], abs=0.005)
    assert np.mean([a == b for a, b in zip(theirs, ours, strict=True)]) > 0.99


@pytest.mark.gpu
@pytest.mark.usefixtures("white_figures")
def test_a_run_made_on_a_gpu_has_its_numbers_again(
    evaluate: Callable[..., Finished], train: Callable[..., Finished]
) -> None:
    run = train("trainer=gpu", "trainer.max_epochs=1", "logger=none")
    assert (run.status, run.err) == (0, "")
    assert run.folder is not None
    assert (evaluate().status, evaluate(f"run={run.folder}", "plots=all").err) == (0, "")
    metrics = content(run.folder / "evaluation/test/metrics.json")
    assert metrics["test/accuracy"] == run.metrics["test/accuracy"]
    assert metrics["test/loss"] == pytest.approx(run.metrics["test/loss"], rel=1e-3)
