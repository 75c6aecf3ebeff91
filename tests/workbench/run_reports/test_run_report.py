"""The report of a run's test: right numbers from its confusion counts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_fscore_support

from cnnlab.errors import UserError
from cnnlab.runs.locks import AVAILABLE, locked
from cnnlab.workbench.run_reports import run_report
from conftest import Finished


def table(cells: list[list[int]], names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(cells, index=names, columns=names)


def make(folder: Path, counts: str | None = None, split: str = "test") -> Path:
    """A run folder by hand."""
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    (folder / ".hydra/config.yaml").write_text("{}")
    if counts is not None:
        (folder / "evaluation" / split).mkdir(parents=True)
        (folder / "evaluation" / split / "confusion_counts.csv").write_text(counts, encoding="utf-8")
    return folder


def test_a_real_run(smoke: Callable[..., Finished]) -> None:
    done = smoke()
    assert done.folder is not None
    text = run_report.write(done.folder)
    folder = done.folder / "evaluation/test"
    assert f"test: {done.metrics['test/accuracy']:.2%} of 500 images right" in text
    for name in ("report.md", "confusion_matrix.png"):
        assert str((folder / name).relative_to(Path.cwd())) in text
        assert (folder / name).stat().st_size > 0
    given = pd.read_csv(folder / "per_class_accuracy.csv")
    scores = run_report.per_class(run_report.read_counts(folder / "confusion_counts.csv"))
    assert list(scores.index) == [str(i) for i in range(10)]
    assert list(scores["images"]) == list(given["images"])
    assert list(scores["recall"]) == pytest.approx(list(given["accuracy"]), abs=1e-6)


def test_scores_by_hand() -> None:
    scores = run_report.per_class(table([[6, 2], [1, 1]], ["cat", "dog"]))
    assert list(scores["images"]) == [8, 2]
    assert list(scores["precision"]) == pytest.approx([6 / 7, 1 / 3])
    assert list(scores["recall"]) == pytest.approx([6 / 8, 1 / 2])
    assert list(scores["F1"]) == pytest.approx([12 / 15, 2 / 5])


@pytest.mark.parametrize("seed", range(20))
def test_scores_and_their_means_are_scikit_learns(seed: int) -> None:
    """With zero_division=0, also for classes without images, without answers, and without either."""
    generator = np.random.default_rng(seed)
    cells = generator.integers(0, 4, (6, 6)) * (generator.random((6, 6)) < 0.4)
    cells[generator.random(6) < 0.25] = 0
    cells[:, generator.random(6) < 0.25] = 0
    cells[0, 1] += 1
    true, predicted = (np.repeat(side.ravel(), cells.ravel()) for side in np.indices(cells.shape))
    scores = run_report.per_class(table(cells.tolist(), list("abcdef")))
    expected = precision_recall_fscore_support(true, predicted, zero_division=0)
    means = precision_recall_fscore_support(true, predicted, zero_division=0, average="macro")
    for name, values, mean in zip(("precision", "recall", "F1"), expected[:3], means[:3], strict=True):
        assert list(scores[name].dropna()) == pytest.approx(values.tolist())
        assert scores[name].mean() == pytest.approx(mean)


def test_classes_that_are_missing_or_never_predicted() -> None:
    names = ["found", "never predicted", "no images", "neither"]
    scores = run_report.per_class(table([[5, 0, 1, 0], [2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], names))
    assert scores.loc["never predicted"].tolist() == [2, 0, 0, 0]
    assert scores.loc["no images"].tolist() == [0, 0, 0, 0]
    assert scores.loc["neither"].isna().tolist() == [False, True, True, True]


def test_confused_pairs() -> None:
    pairs = run_report.confused_pairs(table([[90, 4, 6], [1, 8, 0], [6, 0, 4]], ["a", "b", "c"]))
    assert pairs.to_dict("split")["data"] == [
        ["c", "a", 6, 10, 0.6],  # as many as the next, of fewer
        ["a", "c", 6, 100, 0.06],
        ["a", "b", 4, 100, 0.04],
        ["b", "a", 1, 9, 1 / 9],
    ]


def test_text_and_markdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = make(tmp_path / "runs/mine", "true \\ predicted,cat,a|b\ncat,1190,10\na|b,1,0\n")
    text = run_report.write(run, top=1)
    assert text.startswith("runs/mine, test: 99.08% of 1,201 images right\n\n")
    assert "cat     1,200     0.9992  0.9917  0.9954\n" in text
    assert "a|b         1     0.0000  0.0000  0.0000\n" in text
    assert "mean of the classes: precision 0.4996, recall 0.4958, F1 0.4977\n" in text
    assert "Most confused\n  cat taken for a|b: 10 times, 0.83% of all 1,200 images of cat\n  1 of 2 pairs" in text
    assert text.endswith(
        "Written\n  runs/mine/evaluation/test/report.md\n  runs/mine/evaluation/test/confusion_matrix.png"
    )
    report = (run / "evaluation/test/report.md").read_text(encoding="utf-8")
    assert report.startswith("# runs/mine, test\n\n99.08% of 1,201 images right\n\n| class | images |")
    assert "| a\\|b | 1 | 0.0000 | 0.0000 | 0.0000 |\n" in report
    assert "\n- cat taken for a|b: 10 times" in report
    assert "1 time, 100.00% of" in run_report.write(run, top=2)


def test_all_splits_and_no_figures(tmp_path: Path) -> None:
    run = make(tmp_path / "mine", ",x\nx,3\n")
    make(run, ",x,y\nx,0,0\ny,0,0\n", split="val")
    text = run_report.write(run, figures=False)
    assert "mine, test: 100.00% of 3 images right" in text
    assert "mine, val: no images" in text
    assert "no image was taken for another class" in text
    assert not list(run.rglob("*.png"))
    assert len(list(run.rglob("report.md"))) == 2


def test_names_stay_as_they_are(tmp_path: Path) -> None:
    run = make(tmp_path / "mine", ",NA,007,Größe,007\nNA,1,2,3,4\n007,5,6,7,8\nGröße,9,10,11,12\n007,13,14,15,16\n")
    counts = run_report.read_counts(run / "evaluation/test/confusion_counts.csv")
    assert list(counts.index) == list(counts.columns) == ["NA", "007", "Größe", "007"]
    assert counts.to_numpy().tolist() == np.arange(1, 17).reshape(4, 4).tolist()
    assert "007 taken for NA: 13 times" in run_report.write(run, figures=False)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        ",a\na,-1\n",
        ",a\na,1.5\n",
        ",a\na,1,2,3\n",
        ",a,b\na,1,2\n",
        ",a,b\na,1\nb,2,3\n",
        ",a,b\na,1,\nb,2,3\n",
        ",a,b\na,1,x\nb,2,3\n",
        ",a,b\nb,1,2\na,3,4\n",
    ],
)
def test_damaged_counts_are_told_in_one_line(content: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"confusion_counts\.csv is not as a test leaves it") as refused:
        run_report.write(make(tmp_path / "mine", content))
    assert "\n" not in str(refused.value)


def test_a_run_without_a_test(tmp_path: Path) -> None:
    run = make(tmp_path / "my run")
    words = r"no evaluation/<split>/confusion_counts\.csv in .*my run: "
    with pytest.raises(UserError, match=words + "it was stopped before its test; .* resume='.*my run'"):
        run_report.write(run)
    (run / "error.txt").write_text("loss is nan\n")
    with pytest.raises(UserError, match=words + "it failed before its test"):
        run_report.write(run)
    (run / "metrics.json").write_text("{}")
    with pytest.raises(
        UserError, match=words + "it was trained without a test; python evaluate.py run=.*my run' makes up for it"
    ):
        run_report.write(run)


@pytest.mark.parametrize("file", ["metrics.json", "evaluation/test/metrics.json"])
def test_a_test_that_counted_no_classes(file: str, tmp_path: Path) -> None:
    """A regression: evaluate.py would not help."""
    run = make(tmp_path / "mine")
    (run / "metrics.json").write_text("{}")
    (run / file).parent.mkdir(parents=True, exist_ok=True)
    (run / file).write_text('{"test/mse": 0.1}')
    with pytest.raises(UserError, match=r"its test counted no classes, .*; its numbers are in metrics\.json$"):
        run_report.write(run)


@pytest.mark.skipif(not AVAILABLE, reason="no file locks here")
def test_a_run_that_is_still_running(tmp_path: Path) -> None:
    run = make(tmp_path / "mine")
    with locked(run), pytest.raises(UserError, match="it is still running, and is tested after training"):
        run_report.write(run)
