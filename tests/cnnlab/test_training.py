"""One run on real digits: what it computes and the files it writes."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from cnnlab.models.linear import Linear
from conftest import SMOKE, Finished


def test_it_learns_real_digits_and_leaves_everything_behind(train: Callable[..., Finished]) -> None:
    run = train("trainer=cpu", "trainer.max_epochs=2", "data.batch_size=16", "optimizer.lr=0.01")
    assert run.status == 0, run.err
    folder, metrics = run.folder, run.metrics
    assert folder is not None
    assert folder.name.endswith("_mnist-tinyvgg")
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {
        ".hydra/config.yaml",
        "metrics.json",
        "time.json",
        "environment.json",
        "train.log",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "evaluation/test/confusion_counts.csv",
        "evaluation/test/per_class_accuracy.csv",
    } <= present

    assert metrics["test/accuracy"] > 0.85
    assert metrics["val/accuracy"] > 0.85
    assert metrics["num_parameters"] == 7740
    assert metrics["dataset"] == "mnist-5k"
    assert metrics["best_epoch"] == metrics["epochs"] == 2
    assert metrics["images_per_second"] == pytest.approx(8000 / metrics["train_seconds"], rel=1e-2)
    assert not any(isinstance(value, dict | list) for value in metrics.values())

    counts = pd.read_csv(folder / "evaluation/test/confusion_counts.csv", index_col=0).to_numpy()
    assert counts.sum() == 500
    assert counts.sum(axis=1).tolist() == [50] * 10
    assert counts.trace() / 500 == pytest.approx(metrics["test/accuracy"])

    environment = json.loads((folder / "environment.json").read_text())
    assert environment["dataset"] == "mnist-5k"
    assert environment["versions"]["torch"] == torch.__version__.split("+")[0]
    assert set(environment["data_checksums"]) == {"mnist_5k.csv.gz"}

    assert run.err.count("\n") == 0, run.err
    assert "WARNING: this is not MNIST but 5,000 of its 70,000 digits" in run.out
    assert "epoch 1/2" in run.out
    assert "epoch 2/2" in run.out
    assert f"outputs/runs/{folder.name}" in run.out
    assert "--logdir outputs/runs" in run.out


def test_checkpoints_are_plain_and_say_what_they_were_trained_on(smoke: Callable[..., Finished]) -> None:
    folder = smoke("test=false").folder
    assert folder is not None
    checkpoint = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    assert checkpoint["data"]["dataset"] == "mnist-5k"
    assert checkpoint["data"]["input_shape"] == [1, 28, 28]
    assert checkpoint["data"]["class_names"] == list("0123456789")
    assert checkpoint["data"]["preprocessing"] == "digits"
    assert checkpoint["data"]["mean"][0] == pytest.approx(0.13, abs=0.02)
    saved = OmegaConf.load(folder / ".hydra/config.yaml")
    assert "${hydra:" not in OmegaConf.to_yaml(saved)
    assert "${now:" not in OmegaConf.to_yaml(saved)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(smoke: Callable[..., Finished]) -> None:
    def numbers(*arguments: str) -> dict[str, object]:
        run = smoke("model.dropout=0.2", "augment=shift", *arguments)
        return {key: value for key, value in run.metrics.items() if key not in ("train_seconds", "images_per_second")}

    first = numbers()
    assert numbers() == first
    assert numbers("seed=1")["train/loss"] != first["train/loss"]

    def first_weights(seed: int) -> torch.Tensor:
        """At a rate so small that the order of the batches makes no difference."""
        still = ["model=linear", "optimizer=sgd", "optimizer.lr=1e-9", "scheduler=none", "logger=none", "test=false"]
        run = smoke(*still, f"seed={seed}")
        weights: torch.Tensor = torch.load(run.folder / "checkpoints/last.ckpt")["state_dict"]  # type: ignore[operator]
        return torch.cat([value.flatten() for value in weights.values()])  # type: ignore[attr-defined]

    assert (first_weights(0) - first_weights(1)).abs().max() > 1e-3


def test_tensorboard_has_the_curves_pictures_and_hyperparameters(train: Callable[..., Finished]) -> None:
    run = train(*SMOKE, "trainer.max_epochs=2", "data.batch_size=16")
    assert run.folder is not None
    assert {file.parent for file in run.folder.rglob("events.*")} == {run.folder}
    events = EventAccumulator(str(run.folder))
    events.Reload()
    tags = events.Tags()
    by_epoch = {f"1_epochs/{split}/{name}" for split in ("train", "val") for name in ("loss", "accuracy")}
    by_epoch |= {"throughput/images_per_second"}
    by_step = {"2_steps/train/loss", "2_steps/learning_rate"}
    assert by_epoch | by_step | {"test/accuracy", "test/loss"} <= set(tags["scalars"])
    assert not {"hp_metric", "step", "epoch"} & set(tags["scalars"])
    for tag in by_epoch:
        assert [event.step for event in events.Scalars(tag)] == [1, 2], tag
    assert events.Scalars("1_epochs/val/accuracy")[1].value == pytest.approx(run.metrics["val/accuracy"], abs=0.2)
    assert "data/training_batch" in tags["images"]
    assert tags["graph"]

    start = HParamsPluginData.FromString(
        events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    ).session_start_info.hparams
    assert len(start) <= 22
    assert {"lr", "model.activation", "model.dropout", "optimizer.weight_decay"} <= set(start)
    assert start["data.batch_size"].number_value == 16
    assert start["dataset"].string_value == "mnist-5k"
    assert start["model"].string_value == "TinyVGG"
    assert not any("_target_" in name for name in start)
    assert not {"device", "precision"} & set(start)


class Noon:
    """A clock that stands still: every run starts in the same second."""

    @classmethod
    def now(cls) -> "Noon":
        return cls()

    def strftime(self, pattern: str) -> str:
        return "noon"


def test_runs_started_in_the_same_second_do_not_collide(
    train: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("hydra.core.utils.datetime", Noon)
    for _ in range(3):
        assert train(*SMOKE, "test=false", "logger=none", "model=linear").status == 0
    names = {path.parent.name for path in tmp_path.glob("outputs/runs/*/metrics.json")}
    assert names == {"noon_mnist-linear", "noon_mnist-linear-2", "noon_mnist-linear-3"}
    for _ in range(2):
        assert train("-m", *SMOKE, "test=false", "logger=none", "model=tinyvgg").status == 0
    models = {
        str(path.parent.relative_to(tmp_path / "outputs/multiruns")): json.loads(path.read_text())["model"]
        for path in tmp_path.glob("outputs/multiruns/*/*/metrics.json")
    }
    assert models == {"noon/0": "TinyVGG", "noon-2/0": "TinyVGG"}


def test_a_grid_of_runs(train: Callable[..., Finished], tmp_path: Path) -> None:
    grid = train("-m", *SMOKE, "test=false", "logger=none", "data.batch_size=16,64")
    assert grid.status == 0, grid.err
    folders = sorted(tmp_path.glob("outputs/multiruns/*/*/metrics.json"))
    assert [path.parent.name for path in folders] == ["0", "1"]
    assert [json.loads(path.read_text())["batch_size"] for path in folders] == [16, 64]
    assert all((path.parent / "checkpoints/best.ckpt").is_file() for path in folders)


def test_a_grid_does_not_overwrite_another(train: Callable[..., Finished], tmp_path: Path) -> None:
    settings = ["-m", *SMOKE, "test=false", "logger=none", "model=linear", "seed=0", "hydra.sweep.dir=grid"]
    assert train(*settings).status == 0
    again = train(*settings)
    assert again.status == 1
    assert again.err == "error: hydra.sweep.dir=grid already holds a grid of runs; name another folder\n"


def test_one_batch_is_learnt_completely(train: Callable[..., Finished]) -> None:
    run = train("trainer=overfit", "trainer.accelerator=cpu", "model.hidden_units=16", "logger=none")
    assert run.status == 0, run.err
    assert run.metrics["train/accuracy"] == 1.0
    assert run.metrics["epochs"] < 200
    assert "test/accuracy" not in run.metrics
    assert run.metrics["learnt_after"] == run.metrics["epochs"]
    assert f"learned      yes: the batch of 32 is learned by heart after {run.metrics['epochs']} epochs" in run.out
    again = train("trainer=overfit", "trainer.accelerator=cpu", "logger=none", "trainer.max_epochs=2")
    assert again.metrics["learnt_after"] is None
    assert "learned      NO: the batch of 32 is not learned after 2 epochs" in again.out


def test_the_direction_follows_from_the_monitor(smoke: Callable[..., Finished]) -> None:
    """Learning far too fast, the loss is at its worst in some epoch: best.ckpt is of the one where it is lowest."""
    fast = ["model=linear", "optimizer.lr=1", "scheduler=none", "test=false", "logger=none", "trainer.max_epochs=4"]
    run = smoke(*fast, "monitor=val/loss")
    losses = [float(loss) for loss in re.findall(r"^epoch .* val .* loss ([\d.]+)", run.out, re.MULTILINE)]
    assert len(losses) == 4
    assert max(losses) > 1.1 * min(losses)
    assert run.metrics["best_epoch"] == 1 + losses.index(min(losses))
    assert run.metrics["val/loss"] == pytest.approx(min(losses), abs=1e-4)


def test_lazy_layers_are_settled_before_the_optimizer_sees_them(
    smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lazy(self: Linear, input_shape: tuple[int, ...], num_classes: int) -> None:
        torch.nn.Module.__init__(self)
        self.classifier = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(num_classes))

    monkeypatch.setattr(Linear, "__init__", lazy)
    run = smoke("model=linear", "test=false", "logger=none")
    assert run.status == 0, run.err
    assert run.metrics["num_parameters"] == 7850


def test_early_stopping_and_gradient_clipping(smoke: Callable[..., Finished]) -> None:
    run = smoke(
        "callbacks=early_stopping",
        "callbacks.early_stopping.patience=1",
        "callbacks.early_stopping.min_delta=1",
        "trainer.gradient_clip_val=0.5",
        "trainer.max_epochs=9",
        "logger=csv",
        "scheduler=none",
    )
    assert run.status == 0, run.err
    assert run.metrics["epochs"] == 2
    assert run.folder is not None
    assert (run.folder / "csv/metrics.csv").is_file()


@pytest.mark.parametrize(
    ("optimizer", "scheduler"),
    [
        ("sgd", "none"),
        ("adam", "cosine"),
        ("adamw", "step"),
        # The one schedule that moves the momentum too, which every optimizer keeps elsewhere.
        ("sgd", "onecycle"),
        ("adam", "onecycle"),
        ("adamw", "onecycle"),
    ],
)
def test_every_schedule_and_every_optimizer(optimizer: str, scheduler: str, smoke: Callable[..., Finished]) -> None:
    run = smoke(f"optimizer={optimizer}", f"scheduler={scheduler}", "trainer.max_epochs=2", "test=false")
    assert run.status == 0, run.err
    events = EventAccumulator(str(run.folder))
    events.Reload()
    rates = [event.value for event in events.Scalars("2_steps/learning_rate")]
    assert len(rates) == 16
    peak = {"sgd": 0.05, "adam": 0.005, "adamw": 0.005}[optimizer]
    if scheduler in ("none", "step"):
        assert rates == pytest.approx([peak] * 16)
    elif scheduler == "cosine":
        assert rates == pytest.approx([peak * (1 + math.cos(math.pi * step / 16)) / 2 for step in range(16)], rel=1e-4)
    else:
        assert max(rates) == pytest.approx(peak, rel=0.05)
        assert rates[-1] < peak / 100


def test_a_loss_that_is_no_number_ends_the_run(smoke: Callable[..., Finished]) -> None:
    run = smoke("optimizer=sgd", "optimizer.lr=1e12", "scheduler=none")
    assert run.status == 1
    assert "error: the training loss became nan" in run.err
    assert "lower optimizer.lr" in run.err
    assert len(run.err.splitlines()) == 1
    assert not list(Path("outputs").rglob("*.ckpt"))


def test_an_unexpected_failure_keeps_its_stack_trace_in_the_run_folder(
    smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, batch: object, batch_idx: int) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("cnnlab.classifier.Classifier.training_step", broken)
    run = smoke()
    assert run.status == 1
    assert len(run.err.splitlines()) == 1
    assert "KeyError: 'a bug' (test_training.py:" in run.err
    assert run.folder is not None
    assert "in broken" in (run.folder / "traceback.txt").read_text()


def test_a_full_disk_ends_with_one_line_and_leaves_the_old_checkpoint(
    smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 4:  # environment.json, then best.ckpt and last.ckpt of the first epoch, best.ckpt of the second
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr("os.fsync", full)
    run = smoke("trainer.max_epochs=5", "logger=none")
    assert run.status == 1
    assert "No space left on device" in run.err
    assert len(run.err.splitlines()) == 1
    assert run.folder is not None
    assert torch.load(run.folder / "checkpoints/last.ckpt")["epoch"] >= 0
    assert not list(run.folder.rglob("*.tmp"))


def test_out_of_memory_suggests_a_batch_size(smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(self: object, batch: object, batch_idx: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("cnnlab.classifier.Classifier.training_step", out_of_memory)
    run = smoke("data.batch_size=64")
    expected = "error: out of GPU memory with data.batch_size=64; try data.batch_size=32 optimizer.lr=0.0035\n"
    assert run.err == expected
    assert run.status == 1


def test_a_batch_in_another_layout_is_refused() -> None:
    from cnnlab.classifier import Classifier
    from cnnlab.models.linear import Linear

    classifier = Classifier(Linear((1, 28, 28), 10), torch.optim.SGD, torch.optim.lr_scheduler.StepLR, (1, 28, 28), 10)
    with pytest.raises(ValueError, match=r"expected \(N, 1, 28, 28\), got \(32, 28, 28, 1\)"):
        classifier(torch.zeros(32, 28, 28, 1))


def test_without_callbacks_it_still_trains_and_tests(smoke: Callable[..., Finished]) -> None:
    names = ["checkpoint", "progress", "throughput", "step_curves", "finite_loss", "preview", "confusion_counts"]
    run = smoke("logger=none", *(f"~callbacks.{name}" for name in names))
    assert run.status == 0, run.err
    assert run.err == ""
    assert 0 < run.metrics["test/accuracy"] <= 1
    assert run.metrics["val/accuracy"] > 0
    assert not list(Path("outputs").rglob("*.ckpt"))


def test_the_defaults_are_tinyvgg_mnist_auto(train: Callable[..., Finished]) -> None:
    shown = OmegaConf.create(train("--cfg", "job").out)
    assert shown.model["_target_"].endswith("TinyVGG")
    assert shown.data["_target_"].endswith("MNIST")
    assert shown.data.batch_size == 32
    assert shown.trainer.accelerator == "auto"
    assert (shown.monitor, shown.mode) == ("val/accuracy", None)


@pytest.mark.gpu
def test_a_gpu_learns_real_digits_in_bfloat16_and_ends_with_the_same_numbers_again(
    train: Callable[..., Finished],
) -> None:
    arguments = ["trainer=gpu", "trainer.max_epochs=2", "data.batch_size=16", "optimizer.lr=0.01", "logger=none"]
    run, again = train(*arguments), train(*arguments)
    assert (run.status, run.err) == (0, "")
    assert run.metrics["device"] == torch.cuda.get_device_name()
    is_new = torch.cuda.get_device_capability() >= (8, 0)
    assert run.metrics["precision"] == ("bf16-mixed" if is_new else "32-true")
    assert run.metrics["test/accuracy"] > 0.85
    assert again.numbers == run.numbers
    assert f"device  {torch.cuda.get_device_name()}" in run.out


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("precision", "settings"),
    [
        ("32-true", []),
        ("16-mixed", []),
        ("16-mixed", ["trainer.gradient_clip_val=0.5"]),
        ("bf16-mixed", ["trainer.gradient_clip_val=0.5"]),
        ("bf16-mixed", ["trainer.fast_loop=false", "optimizer=sgd", "optimizer.lr=0.05", "scheduler=cosine"]),
        ("bf16-mixed", ["optimizer=adam", "scheduler=plateau", "data.device=cpu"]),
        ("32-true", ["data.in_memory=false", "data.num_workers=1"]),
        ("32-true", ["trainer.accumulate_grad_batches=2"]),
        ("bf16-mixed", ["trainer.channels_last=false", "callbacks=ema"]),
        ("32-true", ["classifier.class_weights=balanced", "classifier.label_smoothing=0.1"]),
        ("bf16-mixed", ["classifier.metrics=[f1,auroc]", "monitor=val/f1"]),
    ],
)
def test_a_gpu_computes_what_a_cpu_does(
    precision: str, settings: list[str], smoke: Callable[..., Finished], on_gpu: Callable[..., Finished]
) -> None:
    shared = [*settings, "data.val_size=100", "logger=none"]
    here, there = smoke(*shared, "trainer.precision=32-true"), on_gpu(*shared, f"trainer.precision={precision}")
    assert (there.status, there.err) == (0, "")
    assert there.metrics["precision"] == precision
    for name in ("train/loss", "val/loss", "test/loss"):
        assert there.metrics[name] == pytest.approx(here.metrics[name], rel=0.05)


@pytest.mark.gpu
@pytest.mark.parametrize("graphs", ["false", "true"])
def test_a_gpu_that_runs_out_of_memory_is_told_in_one_line(graphs: str, on_gpu: Callable[..., Finished]) -> None:
    torch.cuda.empty_cache()
    _, size = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 100e6) / size)
    large = ["data.batch_size=256", "data.train_size=1024", "model.hidden_units=512", "logger=none"]
    try:  # 200 MB for the outputs of the first layer
        run = on_gpu(*large, "trainer.fast_loop=true", f"trainer.cuda_graph={graphs}")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert run.status == 1
    (line,) = run.err.splitlines()
    assert line.startswith("error: out of GPU memory with data.batch_size=256; try data.batch_size=128 optimizer.lr=")
    assert on_gpu("logger=none").status == 0  # the next one in the same process trains
