"""TensorBoard shows what it should: asked over HTTP as a browser does, and read from the event files."""

import io
import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger as LightningsLogger
from PIL import Image, UnidentifiedImageError
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.event_file_writer import AtomicCounter

from cnnlab.loggers.event_files import add_images
from cnnlab.loggers.tensorboard import TensorBoardLogger
from cnnlab.runs import run_record
from cnnlab.speed.stopwatch import Stopwatch
from conftest import Finished

_STATUSES = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]


@contextmanager
def server(logdir: Path, *arguments: str) -> Iterator[Callable[..., Any]]:
    """A TensorBoard on loopback; yields ask(path, body=None, **query), which returns JSON or the bytes of a picture."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--host", "127.0.0.1", "--port", "0"]
    log = logdir / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen([*command, *arguments], stdout=file, stderr=file)
    try:
        address = eventually(lambda: re.search(r"at (http://127\.0\.0\.1:\d+)/", log.read_text()))[1]

        def ask(path: str, body: dict[str, Any] | None = None, **query: str) -> Any:
            url = f"{address}/data/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
            data = json.dumps(body).encode() if body else None
            request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                content = answer.read()
            return json.loads(content) if answer.headers.get_content_type() == "application/json" else content

        yield ask
    finally:
        process.kill()
        process.wait()


def eventually(look: Callable[[], Any], seconds: float = 60) -> Any:
    """What `look` returns once it is something; TensorBoard reads its files in the background."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), colour).save(buffer, "png")
    return buffer.getvalue()


def loaded(ask: Callable[..., Any], run: str, plugin: str, tag: str) -> bool:
    return tag in ask(f"plugin/{plugin}/tags").get(run, {})


def events(run_dir: Path | None) -> EventAccumulator:
    assert run_dir is not None
    read = EventAccumulator(str(run_dir))
    read.Reload()
    return read


@pytest.mark.parametrize("load_fast", ["auto", "false"])
def test_a_running_server_shows_runs_of_every_kind(
    load_fast: str, smoke: Callable[..., Finished], tmp_path: Path
) -> None:
    run = smoke("model=linear", "trainer.max_epochs=2")
    assert run.folder is not None
    add_images(run.folder, "evaluation-test", {"evaluation/test/confusion_matrix": png("red")}, step=0)
    add_images(run.folder, "evaluation-test", {"evaluation/test/confusion_matrix": png("blue")}, step=0)
    regression = TensorBoardLogger(tmp_path / "outputs/sweeps/values/0")
    regression.log_hyperparams({"model": "MLP", "model.num_layers": 2})
    regression.log_metrics({"train/mse": 0.5, "val/mse": 0.25}, step=1)
    regression.finalize("success")
    failed = TensorBoardLogger(tmp_path / "outputs/multiruns/grid/0")
    failed.log_hyperparams({"model": "ResNet", "model.widths": "8"})
    failed.finalize("failed")

    name = f"runs/{run.folder.name}"
    other = "sweeps/values/0"
    numbers = {
        "(best)/val/accuracy": run.metrics["val/accuracy"],
        "(end)/best_epoch": run.metrics["best_epoch"],
        "(end)/num_parameters": run.metrics["num_parameters"],
        "(end)/test/accuracy": run.metrics["test/accuracy"],
        "(end)/train_seconds": run.metrics["train_seconds"],
    }
    with server(tmp_path / "outputs", "--load_fast", load_fast) as ask:
        eventually(lambda: loaded(ask, name, "images", "evaluation/test/confusion_matrix"))
        eventually(lambda: loaded(ask, name, "scalars", "(end)/train_seconds"))
        eventually(lambda: loaded(ask, other, "scalars", "1_epochs/val/mse"))
        eventually(lambda: set(ask("runs")) == {name, other, "multiruns/grid/0"})
        for tag, number in numbers.items():
            ((_, step, value),) = ask("plugin/scalars/scalars", run=name, tag=tag)
            assert (step, value) == (2, pytest.approx(number, rel=1e-6)), tag
        points = ask("plugin/scalars/scalars", run=name, tag="1_epochs/val/accuracy")
        assert [step for _, step, _ in points] == [1, 2]
        assert points[run.metrics["best_epoch"] - 1][2] == pytest.approx(run.metrics["val/accuracy"], abs=1e-6)

        pictures = {}
        for tag in ask("plugin/images/tags")[name]:
            (sample,) = ask("plugin/images/images", run=name, tag=tag, sample="0")
            pictures[tag] = ask(f"plugin/images/individualImage?{sample['query']}")
        assert pictures.keys() == {"data/training_batch", "evaluation/test/confusion_matrix"}
        assert pictures["evaluation/test/confusion_matrix"] == png("blue")
        Image.open(io.BytesIO(pictures["data/training_batch"])).verify()

        experiment = ask("plugin/hparams/experiment", {"experimentName": "", "includeMetrics": True})
        # The page ticks the first five of its metrics, and colours by the first.
        columns = [info["name"]["tag"] for info in experiment["metricInfos"]]
        assert columns[:5] == [*numbers]
        assert {"1_epochs/val/mse", "1_epochs/train/mse"} <= set(columns)
        settings = [info["name"] for info in experiment["hparamInfos"]]
        assert settings[:5] == ["model", "augment", "data.batch_size", "dataset", "lr"]  # what differs, then the rest
        assert {"model.num_layers", "model.widths"} <= set(settings)
        request = {"allowedStatuses": _STATUSES, "sliceSize": 100, "startIndex": 0, "includeMetrics": True}
        groups = {group["name"]: group for group in ask("plugin/hparams/session_groups", request)["sessionGroups"]}
        assert groups.keys() == {name, other, "multiruns/grid/0"}
        shown = {metric["name"]["tag"]: metric["value"] for metric in groups[name]["metricValues"]}
        assert {tag: shown[tag] for tag in numbers} == pytest.approx(numbers, rel=1e-6)
        assert groups[name]["hparams"]["model"] == "Linear"
        assert [groups[group]["sessions"][0]["status"] for group in groups if "grid" in group] == ["STATUS_UNKNOWN"]

        layout = ask("plugin/custom_scalars/layout")["category"]
        assert [category["title"] for category in layout] == ["loss", "accuracy and other metrics", "speed"]
        assert [len(category["chart"]) for category in layout] == [2, 1, 2]
        drawn = {
            run_name: [
                sorted(
                    ask("plugin/custom_scalars/scalars", run=run_name, tag=chart["multiline"]["tag"][0])[
                        "tag_to_events"
                    ]
                )
                for category in layout
                for chart in category["chart"]
            ]
            for run_name in (name, other)
        }
        assert drawn[other] == [[], [], ["1_epochs/train/mse", "1_epochs/val/mse"], [], []]
        assert drawn[name] == [
            ["1_epochs/train/loss", "1_epochs/val/loss"],
            ["2_steps/train/loss"],
            ["1_epochs/train/accuracy", "1_epochs/val/accuracy"],
            ["throughput/images_per_second"],
            [f"throughput/{stage}" for stage in sorted([*Stopwatch().seconds, "overhead", "validation"])],
        ]


def test_an_extended_run_has_one_row_one_layout_and_the_numbers_of_its_new_end(
    smoke: Callable[..., Finished], train: Callable[..., Finished]
) -> None:
    run = smoke("model=linear", "scheduler=none", "test=false")
    first = run.metrics
    assert run.folder is not None
    assert train(f"resume={run.folder}", "trainer.max_epochs=2").status == 0
    read = events(run.folder)
    for tag, name in (("(end)/train_seconds", "train_seconds"), ("(best)/val/accuracy", "val/accuracy")):
        points = [(point.step, point.value) for point in read.Scalars(tag)]
        assert points == [(1, pytest.approx(first[name])), (2, pytest.approx(run.metrics[name]))]
    written = b"".join(file.read_bytes() for file in run.folder.glob("events.*"))
    assert written.count(b"custom_scalars__config__") == 1
    assert written.count(b"_hparams_/session_start_info") == 1


@pytest.mark.parametrize(
    ("scores", "tags"),
    [
        ({"val/accuracy": 0.5, "val/loss": 1.0, "train/accuracy": 0.6}, {"(best)/val/accuracy"}),
        ({"val/mse": 0.5, "test/mse": 0.25}, {"(best)/val/mse", "(end)/test/mse"}),
        ({"val/loss": 1.0, "test/loss": 2.0}, {"(best)/val/loss", "(end)/test/loss"}),
        ({"val/accuracy": None, "val/loss": None}, set()),
    ],
)
def test_runs_are_compared_by_what_they_measure(
    scores: dict[str, float | None], tags: set[str], tmp_path: Path
) -> None:
    metrics = {**scores, "best_epoch": 1, "epochs": 3, "num_parameters": 7740, "train_seconds": 1.5}
    trainer = cast(Trainer, SimpleNamespace(loggers=[TensorBoardLogger(tmp_path)]))
    run_record.log_outcome(trainer, metrics)
    assert set(events(tmp_path).Tags()["scalars"]) == tags | {
        f"(end)/{name}" for name in ("best_epoch", "num_parameters", "train_seconds")
    }


def test_pictures_of_one_name_replace_those_before_and_leave_all_else(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    for step in (1, 2, 30):
        logger.log_metrics({"val/loss": 1 / step}, step=step)
    logger.finalize("success")
    add_images(tmp_path, "evaluation-val", {"evaluation/val/mistakes": png("green")}, step=2)
    add_images(tmp_path, "evaluation-test", {"evaluation/test/mistakes": png("red"), "gone": png("red")}, step=2)
    earlier = next(tmp_path.rglob("*.evaluation-test"))
    earlier.rename(earlier.with_name("events.out.tfevents.1700000000.evaluation-test"))
    add_images(tmp_path, "evaluation-test", {"evaluation/test/mistakes": png("blue")}, step=2)

    assert len(list(tmp_path.iterdir())) == 3
    read = events(tmp_path)
    assert [point.step for point in read.Scalars("1_epochs/val/loss")] == [1, 2, 30]
    assert set(read.Tags()["images"]) == {"evaluation/val/mistakes", "evaluation/test/mistakes"}
    (picture,) = read.Images("evaluation/test/mistakes")
    assert picture.encoded_image_string == png("blue")
    assert (picture.step, picture.width, picture.height) == (2, 30, 20)


def test_a_run_of_an_earlier_version_goes_on_in_its_own_folder_with_its_own_tags(tmp_path: Path) -> None:
    earlier = LightningsLogger(tmp_path, name="tensorboard", version="")
    for step in (1, 2, 3):
        earlier.log_metrics({"val/loss": 1 / step}, step)
    earlier.finalize("success")
    resumed = TensorBoardLogger(tmp_path, purge_step=3)
    resumed.log_metrics({"val/loss": 7.0}, 3)
    resumed.finalize("success")
    add_images(tmp_path, "evaluation-test", {"mistakes": png("red")}, step=3)

    assert [path.name for path in tmp_path.iterdir()] == ["tensorboard"]
    read = events(tmp_path / "tensorboard")
    assert [(point.step, point.value) for point in read.Scalars("val/loss")] == [(1, 1), (2, 0.5), (3, 7)]
    assert read.Tags()["images"] == ["mistakes"]


def test_bytes_that_are_no_picture_leave_what_is_there(tmp_path: Path) -> None:
    add_images(tmp_path, "evaluation-test", {"mistakes": png("red")}, step=1)
    with pytest.raises(UnidentifiedImageError):
        add_images(tmp_path, "evaluation-test", {"mistakes": b"no picture"}, step=1)
    assert len(list(tmp_path.iterdir())) == 1
    assert events(tmp_path).Images("mistakes")[0].encoded_image_string == png("red")


def test_a_server_that_reads_the_run_already_sees_pictures_of_the_same_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.5)
    # Names of a second count the process's files, 99 and 100 in the wrong order: a run does not open so many.
    monkeypatch.setattr("tensorboard.summary.writer.event_file_writer._global_uid", AtomicCounter(0))
    logger = TensorBoardLogger(tmp_path)
    logger.log_metrics({"val/loss": 1.0}, step=1)
    logger.finalize("success")
    read = events(tmp_path)
    for colour in ("red", "blue"):
        add_images(tmp_path, "00-evaluation", {"mistakes": png(colour)}, step=1)
    read.Reload()
    assert [picture.encoded_image_string for picture in read.Images("mistakes")] == [png("blue")]
