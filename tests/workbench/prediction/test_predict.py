"""`python predict.py`: pictures that people have, answered by a trained network."""

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from omegaconf import OmegaConf
from PIL import Image

from cnnlab import load_run
from cnnlab.optimization import optimization
from cnnlab.runs.checkpoint_io import load_checkpoint
from cnnlab.saved_run import load_model
from cnnlab.workbench.inspection import through_the_net
from cnnlab.workbench.prediction.predictor import Predictor
from conftest import Finished, embedded_digits

NUM_DIGITS = 24


def digits() -> tuple[NDArray[np.uint8], list[int]]:
    """Real digits (N, 28, 28), of all classes, and what they are."""
    pixels, labels = embedded_digits()
    chosen = np.linspace(0, 4999, NUM_DIGITS).astype(int)
    return pixels[chosen], labels[chosen].tolist()


@pytest.fixture
def predict(command: Callable[..., Finished]) -> Callable[..., Finished]:
    return lambda *arguments: command("predict.py", *arguments)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Digits enlarged, half of them inverted, on canvases of other sizes, in many formats; and three bad files."""
    folder = tmp_path / "my scans"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, digit in enumerate(digits()[0]):
        larger = np.asarray(Image.fromarray(digit).resize((112, 112), Image.Resampling.BICUBIC))
        canvas = np.zeros((200, 300), np.uint8)
        top, left = rng.integers(0, 88), rng.integers(0, 188)
        canvas[top : top + 112, left : left + 112] = larger
        ending = ("png", "jpg", "webp", "tiff", "bmp", "gif")[number % 6]
        Image.fromarray(canvas if number % 2 else 255 - canvas).save(folder / f"{number}.{ending}")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture")
    Image.new("L", (60, 60), 210).save(folder / "blank.png")
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "predictions.csv").read_text(encoding="utf-8"))))


def only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_a_folder_of_scans(predict: Callable[..., Finished], trained: Path, scans: Path, tmp_path: Path) -> None:
    done = predict(f"images={scans}")
    assert (done.status, done.err) == (0, "")
    answers = rows(only(tmp_path / "outputs/predictions"))
    assert list(answers[0])[:4] == ["file", "label", "probability", "runner-up"]
    assert [row["file"].partition(".")[0] for row in answers] == [str(number) for number in range(NUM_DIGITS)]
    right = [int(row["digit"]) == label for row, label in zip(answers, digits()[1], strict=True)]
    assert sum(right) >= NUM_DIGITS - 2  # the network knows 97 of 100
    for row in answers:
        assert row["label"] == row["digit"] != row["runner-up"]
        assert float(row["probability"]) > float(row["runner-up probability"])
    assert "\n0.png " in done.out, "names stand on the left, also those that begin with a digit"
    assert "skipped 3 of 27:" in done.out
    for line in (
        "blank.png: no digit in it",
        "empty.png cannot be read as an image (it is empty)",
        "text.jpg cannot be read as an image (its content is no image that Pillow knows)",
    ):
        assert line in done.out


def test_the_same_from_an_archive_and_in_json(
    predict: Callable[..., Finished], trained: Path, scans: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        for path in scans.iterdir():
            archive.write(path, path.name)
    assert predict(f"run={trained}", "images=scans.zip", "out=answers, all").status == 0
    assert predict(f"run={trained}", f"images={scans}", "out=again").status == 0
    assert rows(tmp_path / "answers, all") == rows(tmp_path / "again")
    content = json.loads((tmp_path / "again/predictions.json").read_text(encoding="utf-8"))
    assert content["dataset"] == "mnist-5k"
    assert {entry["file"] for entry in content["skipped"]} == {"empty.png", "text.jpg", "blank.png"}
    for entry, row in zip(content["predictions"], rows(tmp_path / "again"), strict=True):
        assert (entry["file"], str(entry["digit"])) == (row["file"], row["digit"])
        assert sum(entry["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        ranked = sorted(entry["probabilities"], key=entry["probabilities"].get, reverse=True)
        shares = [row["probability"], row["runner-up probability"]]
        assert ranked[0] == row["label"]
        assert [entry["probabilities"][name] for name in ranked[:2]] == pytest.approx(list(map(float, shares)))


def test_pages_and_explanations(
    predict: Callable[..., Finished], trained: Path, scans: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cnnlab.workbench.prediction.contact_sheet.MOST_ENTRIES", 4)
    monkeypatch.setattr("cnnlab.workbench.prediction.predict._MOST_EXPLAINED", 2)
    drawn: list[tuple[str, list[float]]] = []
    draw = through_the_net.draw

    def remember(sample: Any, activations: Any, probabilities: Any, class_names: Any, title: str, **more: Any) -> bytes:
        drawn.append((title, probabilities.tolist()))
        return draw(sample, activations, probabilities, class_names, title, **more)

    monkeypatch.setattr(through_the_net, "draw", remember)
    done = predict(f"images={scans}", "explain=true", "out=answers")
    assert done.status == 0
    assert len(drawn) == 2
    names = {path.relative_to(tmp_path / "answers").as_posix() for path in (tmp_path / "answers").rglob("*.png")}
    assert names == {
        *(f"contact_sheet_{page}.png" for page in range(1, 7)),
        "through_the_net/01_0.png",
        "through_the_net/02_1.png",
    }
    assert "explained the first 2 of 24" in done.out
    shares = {row["file"]: float(row["probability"]) for row in rows(tmp_path / "answers")}
    for title, probabilities in drawn:
        name, _, answer = title.partition(": ")
        assert answer.endswith(f"({max(probabilities):.1%})")
        assert max(probabilities) == pytest.approx(shares[name], abs=1e-6)
    assert "answers/contact_sheet_1.png to contact_sheet_6.png\n" in done.out
    assert len(rows(tmp_path / "answers")) == NUM_DIGITS


def test_a_digit_as_mnist_has_it_is_answered_as_in_the_data(trained: Path) -> None:
    predictor = Predictor(load_model(trained), "cpu")
    model, datamodule, _ = load_run(trained)
    inputs, _ = next(iter(datamodule.val_dataloader()))
    with torch.no_grad():
        expected = model(inputs).argmax(dim=1)
    pixels = datamodule.validation.inputs.numpy()
    answers = [int(predictor.answer(picture).label) for picture in pixels[:100]]
    assert np.mean(np.array(answers) == expected[:100].numpy()) >= 0.98
    exact = predictor.answers(list(pixels[:100]))
    assert [int(answer.label) for answer in exact] == expected[:100].tolist()
    assert exact[0].probabilities.sum() == pytest.approx(1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of red, green and blue pictures, 20 of each, 40 x 56."""
    rng = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 80, (40, 56, 3), dtype=np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_other_data_are_resized_as_in_training(
    predict: Callable[..., Finished], train: Callable[..., Finished], photos: Path, tmp_path: Path
) -> None:
    small = ["trainer.max_epochs=3", "data.batch_size=8", "data.image_size=[20,28]", "optimizer.lr=0.01"]
    run = train("data=image_folder", f"data.root={photos}", *small)
    assert run.folder is not None, run.err
    done = predict(f"images={photos}", "out=answers")
    assert (done.status, done.err) == (0, "")
    answers = rows(tmp_path / "answers")
    assert "digit" not in answers[0]
    right = [row["file"].split("/")[0] == row["label"] for row in answers]
    assert np.mean(right) > 0.9
    predictor = Predictor(load_model(run.folder), "cpu")
    stored = load_run(run.folder).datamodule.training.inputs
    seen = [predictor.reader.read(path, path.name).sample for path in sorted(photos.rglob("*.png"))]
    picture = np.asarray(Image.open(photos / "red/0.png")).transpose(2, 0, 1)
    from_file = predictor.answers([predictor.reader.read(photos / "red/0.png", "0.png").sample])[0]
    assert np.array_equal(predictor.answer(picture).seen, from_file.seen)
    known = {pixels.numpy().tobytes() for pixels in stored}
    assert sum(pixels.tobytes() in known for pixels in seen) == len(stored)


def test_a_run_on_signals_takes_no_pictures(
    predict: Callable[..., Finished], train: Callable[..., Finished], tmp_path: Path
) -> None:
    x: NDArray[Any] = np.random.default_rng(0).normal(size=(60, 1, 40)).astype(np.float32)
    np.savez(tmp_path / "signals.npz", x_train=x, y_train=np.arange(60) % 2, x_test=x, y_test=np.arange(60) % 2)
    run = train("data=npz", "data.path=signals.npz", "trainer.max_epochs=1", "data.batch_size=8", "test=false")
    assert run.status == 0, run.err
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    done = predict("images=a.png")
    assert done.status == 1
    assert "a.png is no NumPy file; expected an array as numpy.save or numpy.savez writes it" in done.err


class Regression(LightningModule):
    """Squared error in place of cross-entropy, as in CONTRIBUTING.md."""

    targets = "values"
    monitorable = ("val/mse",)

    def __init__(self, model: torch.nn.Module, optimizer: Any, scheduler: Any) -> None:
        super().__init__()
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return torch.nn.functional.mse_loss(self.model(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/mse", self.training_step(batch, batch_idx), batch_size=len(batch[1]))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test/mse", self.training_step(batch, batch_idx), batch_size=len(batch[1]))

    def configure_optimizers(self) -> Any:
        return optimization(self, self.optimizer, self.scheduler)


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize("names", [pytest.param(("brightness",), marks=pytest.mark.slow), ("brightness", "darkness")])
def test_a_regression_gives_values_by_their_names(
    names: tuple[str, ...],
    command: Callable[..., Finished],
    train: Callable[..., Finished],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cnnlab.classifier.Regression", Regression, raising=False)
    monkeypatch.setattr(Regression, "__module__", "cnnlab.classifier")  # a class of a test would not be trusted
    rng = np.random.default_rng(0)
    values = rng.random(200).astype(np.float32)
    x = (values[:, None, None] * np.full((12, 12), 250)).astype(np.uint8)
    y = np.stack([values, 1 - values], axis=1)[:, : len(names)]
    np.savez(tmp_path / "v.npz", x_train=x, y_train=y, x_test=x[:40], y_test=y[:40], class_names=names)
    settings = ["data.targets=values", "monitor=val/mse", "mode=min", "trainer.max_epochs=5", "data.batch_size=8"]
    model = ["classifier._target_=cnnlab.classifier.Regression", "model=linear", "optimizer.lr=0.01", "logger=none"]
    run = train("data=npz", "data.path=v.npz", *settings, *model)
    assert run.folder is not None, run.err
    saved = load_model(run.folder)
    assert (saved.data["targets"], saved.data["class_names"]) == ("values", list(names))
    assert saved.learns_classes is False

    (tmp_path / "pictures").mkdir()
    for number, level in enumerate((25, 225)):
        Image.new("L", (12, 12), level).save(tmp_path / f"pictures/{number}.png")
    done = command("predict.py", "images=pictures", "out=answers")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[0].split() == ["file", *names]
    assert "%" not in done.out
    answers = rows(tmp_path / "answers")
    assert list(answers[0]) == ["file", *names]
    levels = (torch.tensor([25.0, 225.0]) / 255 - saved.data["mean"][0]) / saved.data["std"][0]
    expected = saved.model(levels[:, None, None, None].expand(2, 1, 12, 12)).tolist()
    assert [[float(row[name]) for name in names] for row in answers] == pytest.approx(np.array(expected), abs=1e-5)
    content = json.loads((tmp_path / "answers/predictions.json").read_text(encoding="utf-8"))
    for entry, row in zip(content["predictions"], answers, strict=True):
        assert entry["values"] == {name: float(row[name]) for name in names}
    assert (tmp_path / "answers/contact_sheet.png").is_file()

    for script, arguments, words in (
        ("predict.py", ["images=pictures", "explain=true"], "explain=true draws the way to a class, but"),
        ("evaluate.py", ["plots=all"], "plots=all draws answers to classes, but"),
        ("scripts/demo.py", ["run=latest"], "the demo takes digits"),
        ("scripts/report.py", ["latest"], "its test counted no classes"),
    ):
        refused = command(script, *arguments)
        assert refused.status != 0, script
        assert words in refused.err
        assert len(refused.err.splitlines()) == 1
    assert command("evaluate.py").status == 0
    exported = command("scripts/export.py", "format=safetensors")
    assert exported.status == 0, exported.err
    assert f"{names[0]}" in exported.out
    assert "answers differ" not in exported.out


def test_older_checkpoints_say_through_their_config_what_the_targets_are(trained: Path) -> None:
    path = trained / "checkpoints/best.ckpt"
    checkpoint = load_checkpoint(path)
    del checkpoint["data"]["targets"]
    torch.save(checkpoint, path)
    assert load_model(trained).learns_classes
    config = OmegaConf.load(trained / ".hydra/config.yaml")
    config.data.targets = "values"
    OmegaConf.save(config, trained / ".hydra/config.yaml")
    assert not load_model(trained).learns_classes


def test_paths_are_taken_as_they_are(predict: Callable[..., Finished], trained: Path, tmp_path: Path) -> None:
    name = "a=b, (1) é'"
    trained.rename(tmp_path / name)
    Image.fromarray(255 - digits()[0][0]).save(tmp_path / f"{name}.jpg")
    done = predict(f"run={name}", f"images={name}.jpg", f"out={name} out")
    assert (done.status, done.err) == (0, "")
    (answer,) = rows(tmp_path / f"{name} out")
    assert (answer["file"], answer["digit"]) == (f"{name}.jpg", "0")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "images= is missing: name a picture, a folder of them, a glob or a zip archive"),
        (["images=nowhere"], "images: there is no nowhere"),
        (["images=my scans/blank.png"], "blank.png: no digit in it"),
        (["images=my scans/*y.png"], "empty.png cannot be read as an image (it is empty)"),
        (["images=my scans", "run=nowhere"], "nowhere is not a run folder"),
        (["images=my scans", "explain=1"], "explain: expected bool, got 1"),
        (["images=my scans", "out=my scans/0.png"], "out: cannot write to my scans/0.png"),
        (["images=my scans", "accelerator=cup"], "accelerator must be one of auto, cpu, gpu, cuda, mps, got 'cup'"),
        (["image=my scans"], "did you mean images?"),
    ],
)
def test_mistakes_are_told_in_one_line_and_leave_nothing(
    arguments: list[str], words: str, predict: Callable[..., Finished], trained: Path, scans: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = predict(*arguments)
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert words in line
    assert sorted(tmp_path.rglob("*")) == before


def test_several_digits_are_read_one_by_one(predict: Callable[..., Finished], trained: Path, tmp_path: Path) -> None:
    pixels, labels = embedded_digits()
    chosen = [int(np.flatnonzero(labels == label)[20]) for label in (1, 9, 8, 4)]
    row = np.concatenate([pixels[number, :, 4:24] for number in chosen], axis=1)
    larger = np.pad(np.asarray(Image.fromarray(row).resize((320, 112), Image.Resampling.BICUBIC)), 30)
    folder = tmp_path / "numbers"
    folder.mkdir()
    Image.fromarray(255 - larger).save(folder / "1984.png")
    Image.fromarray(np.pad(pixels[chosen[1]], 10)).save(folder / "nine.png")
    upper, lower = larger[:, :190], np.pad(larger[30:-30, 120:180], 30, constant_values=0)
    Image.fromarray(np.concatenate([upper, np.pad(lower, ((0, 0), (0, 70)))])).save(folder / "two rows.png")
    done = predict(f"images={folder}", "out=answers")
    assert (done.status, done.err) == (0, "")
    assert "1984.png [2]" in done.out
    assert "1984.png: 4 beside each other, read as 1984 (all of them right: " in done.out
    assert "WARNING: two rows.png: 1 more in it that was not read" in done.out
    answers = rows(tmp_path / "answers")
    assert list(answers[0]) == ["file", "label", "probability", "runner-up", "runner-up probability", "digit", "part"]
    of_file = [(row["file"], row["digit"], row["part"]) for row in answers]
    assert of_file[:5] == [
        *(("1984.png", digit, str(part)) for part, digit in enumerate("1984", 1)),
        ("nine.png", "9", "1"),
    ]
    written = json.loads((tmp_path / "answers/predictions.json").read_text(encoding="utf-8"))
    assert [entry.get("part") for entry in written["predictions"]][:5] == [1, 2, 3, 4, None]
    (number, _) = written["rows"]
    shares = [float(row["probability"]) for row in answers[:4]]
    assert (number["file"], number["label"]) == ("1984.png", "1984")
    assert number["probability"] == pytest.approx(np.prod(shares), abs=1e-5)
    assert written["warnings"] == ["two rows.png: 1 more in it that was not read"]


@pytest.mark.gpu
def test_a_gpu_and_a_cpu_give_the_same_answers(
    predict: Callable[..., Finished], train: Callable[..., Finished], scans: Path, tmp_path: Path
) -> None:
    run = train("trainer=gpu", "trainer.max_epochs=2", "optimizer.lr=0.01", "logger=none", "test=false")
    assert (run.status, run.err) == (0, "")
    labels = {}
    for device in ("gpu", "cpu"):
        done = predict(f"run={run.folder}", f"images={scans}", f"accelerator={device}", f"out={device}")
        assert (done.status, done.err) == (0, "")
        labels[device] = [row["label"] for row in rows(tmp_path / device)]
    assert len(labels["gpu"]) == NUM_DIGITS
    assert sum(one != other for one, other in zip(labels["gpu"], labels["cpu"], strict=True)) <= 1
