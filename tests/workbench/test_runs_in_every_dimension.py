"""Signals and volumes go through all that is done with a run: every network is trained, evaluated and exported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cnnlab.saved_run import load_model
from cnnlab.workbench.evaluation.evaluate import evaluate
from cnnlab.workbench.export.export_run import export_run
from cnnlab.workbench.export.formats import FORMATS
from cnnlab.workbench.prediction.predict import predict
from conftest import PROJECT, Finished

MODELS = sorted({path.stem for path in (PROJECT / "conf/model").glob("*.yaml")} - {"textcnn"})
SAMPLES: dict[str, tuple[tuple[int, ...], Any]] = {
    "series": ((40,), np.float32),
    "volume": ((16, 16, 16), np.uint8),
}


def make_data(folder: Path, kind: str) -> str:
    shape, dtype = SAMPLES[kind]
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (72, *shape)).astype(dtype), np.arange(72) % 3
    np.savez(folder / "own.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    np.save(folder / "many.npy", x[60:63])
    return f"data.path={folder / 'own.npz'}"


@pytest.mark.usefixtures("white_figures")
@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize(
    "model", [pytest.param(model, marks=pytest.mark.slow) if model != "tinyvgg" else model for model in MODELS]
)
def test_trained_evaluated_exported_and_asked(
    model: str, kind: str, smoke: Callable[..., Finished], tmp_path: Path
) -> None:
    settings = ["data=npz", make_data(tmp_path, kind), "data.train_size=50", "data.batch_size=16", "logger=none"]
    if model == "timm":
        pytest.importorskip("timm")
    run = smoke(f"model={model}", *settings)
    sizes = (1, *SAMPLES[kind][0])
    if model in ("torchvision", "timm"):
        assert run.status == 1
        assert f"take images (C, H, W), got data of shape {sizes}" in run.err
        return
    assert run.folder is not None, run.err
    evaluated = evaluate(run.folder, plots="all")
    names = {path.name for path in evaluated.folder.iterdir()}
    assert names >= {"most_wrong.png", "random_predictions.png", "through_the_net.png", "filters.png"}
    saved = load_model(run.folder)
    assert saved.data["kind"] == kind
    inputs = torch.from_numpy(np.load(tmp_path / "many.npy")).unsqueeze(1)
    exported = export_run(saved, FORMATS["safetensors"], tmp_path / "model.safetensors", inputs, 1e-4)
    assert exported.num_bytes > 1_000
    answered = predict(run.folder, inputs=str(tmp_path / "many.npy"), out=str(tmp_path / "answers"))
    assert len(answered.answers.given) == 3


@pytest.mark.gpu
@pytest.mark.parametrize("kind", SAMPLES)
def test_signals_and_volumes_are_learnt_on_a_gpu(kind: str, on_gpu: Callable[..., Finished], tmp_path: Path) -> None:
    settings = ["data=npz", make_data(tmp_path, kind), "data.train_size=50", "data.batch_size=16", "logger=none"]
    run = on_gpu(*settings, "augment=shift", "trainer.fast_loop=true", "trainer.cuda_graph=true")
    assert (run.status, run.err) == (0, "")
    assert 0 < run.metrics["test/loss"] < 10
    assert run.folder is not None
    evaluated = evaluate(run.folder, plots="all")  # on the GPU, with the pictures of filters and layers
    assert evaluated.metrics["test/loss"] == pytest.approx(run.metrics["test/loss"], rel=0.02)
