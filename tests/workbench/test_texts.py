"""What one does with a finished run, done with one on texts: every word of the data decides or does not, by design."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cnnlab.saved_run import load_model
from cnnlab.workbench.inspection.word_weights import word_weights
from cnnlab.workbench.inspection.words_figure import WeighedText, draw
from conftest import Finished

SETTINGS = ["model=textcnn", "model.embedding_size=16", "model.num_filters=8", "data=text_csv", "data.path=reviews.csv"]
SETTINGS += [
    "augment=word_dropout",
    "optimizer.lr=0.02",
    "data.min_count=1",
    "trainer.accelerator=cpu",
    "monitor=val/loss",
]
NEUTRAL = ["the", "a", "film", "plot", "actor", "scene", "music", "story", "this", "that"]
DECISIVE = {"good": "great", "bad": "awful"}


def write_reviews(path: Path, num_texts: int = 400) -> None:
    rng = np.random.default_rng(0)
    lines = ["text,label"]
    for number in range(num_texts):
        label = ("good", "bad")[number % 2]
        words = [*rng.choice(NEUTRAL, rng.integers(5, 9))]
        words.insert(rng.integers(len(words)), DECISIVE[label])
        lines.append(f"{' '.join(words)},{label}")
    path.write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def run(train: Callable[..., Finished], tmp_path: Path) -> Path:
    """A run that tells great texts from awful ones."""
    write_reviews(tmp_path / "reviews.csv")
    finished = train(*SETTINGS, "trainer.max_epochs=4")
    assert finished.status == 0, finished.err
    assert finished.metrics["test/accuracy"] > 0.95
    assert finished.folder is not None
    return finished.folder


@pytest.mark.usefixtures("white_figures")
def test_a_run_on_texts_can_be_evaluated_asked_and_exported(
    run: Path, command: Callable[..., Finished], tmp_path: Path
) -> None:
    # The first look
    events = EventAccumulator(str(run))
    events.Reload()
    (shown,) = events.Tensors("data/training_batch/text_summary")
    first = shown.tensor_proto.string_val[0].decode().splitlines()[0]
    label = first.split("**")[1]
    assert DECISIVE[label] in first or "&lt;unknown&gt;" in first

    # The weights of words
    saved = load_model(run)
    vocabulary = saved.data["vocabulary"]
    text = [vocabulary.index(word) for word in ["the", "plot", "awful", "this", "film"]]
    sample = torch.tensor([text + [0] * (saved.data["input_shape"][1] - len(text))]).float()
    bad = saved.data["class_names"].index("bad")
    weights = word_weights(saved.model, sample, bad)
    assert weights.argmax() == 2
    assert weights[2] > 3 * np.abs(np.delete(weights, 2)).max()
    assert not weights[5:].any()
    np.testing.assert_allclose(
        word_weights(saved.model, sample, 1 - bad), -weights
    )  # two classes: for one, against the other

    # Evaluate
    evaluated = command("evaluate.py", f"run={run}", "plots=all")
    assert evaluated.status == 0, evaluated.err
    assert "texts right" in evaluated.out
    assert "image" not in evaluated.out
    assert " texts/s" in (run / "train.log").read_text(encoding="utf-8")
    for name in ("most_wrong.png", "random_predictions.png", "through_the_net.png", "filters.png"):
        with Image.open(run / "evaluation/test" / name) as picture:
            assert min(picture.size) > 100

    # Predict
    (tmp_path / "some.txt").write_text("An AWFUL film.\n\nthis is great\n", encoding="utf-8")
    (tmp_path / "some.csv").write_text('no,text\n1,"great, great"\n2,awful\n', encoding="utf-8")
    expected = {
        "a great plot, isn't it?": {"a great plot, isn't it?": "good"},
        "some.txt": {"some.txt:1 An AWFUL film.": "bad", "some.txt:3 this is great": "good"},
        "some.csv": {"some.csv:2 great, great": "good", "some.csv:3 awful": "bad"},
    }
    for number, (inputs, answers) in enumerate(expected.items()):
        asked = command("predict.py", f"run={run}", f"inputs={inputs}", f"out=answers{number}", "explain=true")
        assert asked.status == 0, asked.err
        table = pd.read_csv(tmp_path / f"answers{number}/predictions.csv")
        assert dict(zip(table["text"], table["label"], strict=True)) == answers
        assert len(list((tmp_path / f"answers{number}").rglob("*.png"))) == len(answers)  # words, and no contact sheet
    asked = command("predict.py", f"run={run}")
    assert "inputs= is missing: name a file of texts" in asked.err
    (tmp_path / "empty.txt").touch()
    for inputs, message in {"nothing.txt": "no nothing.txt", " ": "no words", "empty.txt": "no text"}.items():
        asked = command("predict.py", f"run={run}", f"inputs={inputs}")
        assert asked.status == 1
        assert message in asked.err
        assert len(asked.err.splitlines()) == 1

    # Export
    for form, package in {"torch_export": "torch", "safetensors": "safetensors", "onnx": "onnxruntime"}.items():
        pytest.importorskip(package)
        exported = command("scripts/export.py", f"run={run}", f"format={form}")
        assert exported.status == 0, exported.err
        assert "places of the words in vocabulary" in exported.out
    import onnx

    about = {entry.key: entry.value for entry in onnx.load(run / "export/model.onnx").metadata_props}
    assert json.loads(about["vocabulary"]) == vocabulary


def test_the_layers_of_textcnn(command: Callable[..., Finished], tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv")
    shown = command("scripts/inspect_model.py", "model=textcnn", "data=text_csv", "data.path=reviews.csv")
    assert (shown.status, shown.err) == (0, "")
    assert "300 inputs" in shown.out
    refused = command("scripts/inspect_model.py", "model=textcnn", "input_shape=[1,9]", "num_classes=2")
    assert refused.status == 1
    assert "TextCNN reads texts, but the data are none" in refused.err


def test_long_texts_are_cut_in_the_figure(tmp_path: Path) -> None:
    words = ["word"] * 2_000
    long = WeighedText(words, np.linspace(-1, 1, 2_000), "a long one", None)
    short = WeighedText(["very" * 50, "日本語", "$x$ <b>"], np.array([1.0, 0, -1]), "a short one", True)
    (tmp_path / "words.png").write_bytes(draw([long, short], "A title", "An explanation."))
    with Image.open(tmp_path / "words.png") as picture:
        assert picture.width < 1_500
        assert picture.height < 800


@pytest.mark.gpu
@pytest.mark.parametrize("loop", [[], ["trainer.fast_loop=true", "trainer.cuda_graph=true"]])
def test_texts_are_learnt_on_a_gpu(loop: list[str], train: Callable[..., Finished], tmp_path: Path) -> None:
    write_reviews(tmp_path / "reviews.csv")
    run = train(*SETTINGS, "trainer.max_epochs=4", "logger=none", "trainer.accelerator=cuda", *loop)
    assert (run.status, run.err) == (0, "")
    assert run.metrics["test/accuracy"] > 0.95
