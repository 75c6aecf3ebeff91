"""`python scripts/export.py`: a checked file for other programs, or one line that says why there is none."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import fork_server
from conftest import PROJECT, Finished


@pytest.fixture
def export(command: Callable[..., Finished]) -> Callable[..., Finished]:
    """Run `python scripts/export.py <arguments>`."""
    return partial(command, "scripts/export.py")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_run_in_every_format(smoke: Callable[..., Finished], export: Callable[..., Finished], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    pytest.importorskip("safetensors")
    run = smoke("trainer.channels_last=true").folder
    assert run is not None
    before = files(tmp_path)
    done = export()
    assert (done.status, done.err) == (0, "")
    assert "TinyVGG on mnist-5k" in done.out
    assert "float32 (N, 1, 28, 28): pixels from 0 to 255; the network normalises them" in done.out
    assert "float32 (N, 10): 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in done.out
    assert "756 real digits: outputs differ by" in done.out
    assert "at most, 0 answers differ" in done.out
    assert export(f"run={run}", "format=torch_export", "out=a, b=c").status == 0
    weights = export("run=latest", "format=safetensors", "out=weights.safetensors")
    assert "outputs differ by 0 at most" in weights.out
    assert files(tmp_path) - before == {
        f"outputs/runs/{run.name}/export/model.onnx",
        "a, b=c/model.pt2",
        "weights.safetensors",
    }
    pixels = 255 * torch.rand(5, 1, 28, 28)
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(run / "export/model.onnx", providers=["CPUExecutionProvider"])
    (outputs,) = session.run(None, {"input": pixels.numpy()})
    expected = torch.export.load(tmp_path / "a, b=c/model.pt2").module()(pixels)
    assert np.abs(outputs - expected.detach().numpy()).max() < 1e-4


def test_nothing_is_written_without_a_check(
    smoke: Callable[..., Finished], export: Callable[..., Finished], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(60, 20)), np.arange(60) % 2
    np.savez(tmp_path / "signals.npz", x_train=inputs, y_train=labels, x_test=inputs, y_test=labels)
    data = ["data=npz", "data.path=signals.npz", "data.train_size=null", "data.batch_size=8", "model=linear"]
    assert smoke(*data).status == 0
    before = files(tmp_path)
    exporting = partial(export, "format=torch_export")
    for arguments, words in {
        ("tolerance=-1",): "refused: the outputs of the exported file and of the run's network differ by up to 0, -1",
        ("out=signals.npz/below",): "out: cannot write to signals.npz/below/model.pt2",
        ("out=a.onnx",): "out: a.onnx is for format=onnx; expected a folder or a name in .pt2",
    }.items():
        done = exporting(*arguments)
        assert (done.status, done.err.count("\n")) == (1, 1)
        assert words in done.err
        assert files(tmp_path) == before
    (tmp_path / "signals.npz").rename(tmp_path / "elsewhere.npz")
    done = exporting()
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "an export is checked on the run's own data, and those are not available: data: " in done.err
    assert not list(tmp_path.rglob("export"))
    (tmp_path / "elsewhere.npz").rename(tmp_path / "signals.npz")
    assert "check   60 real samples: outputs differ by" in exporting().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["format=torch-export"], "format must be one of onnx, torch_export, safetensors, got 'torch-export'"),
        (["format=3"], "format: expected str, got 3"),
        (["run=nowhere", "format=torch_export"], "nowhere is not a run folder"),
        (["format=torch_export"], "latest: there are no runs in"),
        (["tolerance=small"], "tolerance: expected float, got 'small'"),
        (["formt=onnx"], "unknown key formt; did you mean format?"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str], words: str, export: Callable[..., Finished], tmp_path: Path
) -> None:
    done = export(*arguments)
    assert done.status == 1
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert words in done.err
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_in_a_process_of_its_own_the_terminal_stays_clean(
    smoke: Callable[..., Finished], tmp_path: Path, environment: dict[str, str]
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert smoke("logger=none", "test=false").status == 0
    command = [sys.executable, "-W", "error", str(PROJECT / "scripts/export.py")]
    done = fork_server.run(command, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    first, *lines = done.stdout.splitlines()
    assert first.startswith("WARNING: this is not MNIST")
    labels = [line[:8].strip() for line in lines[: lines.index("")]]
    assert [label for label in labels if label] == ["run", "file", "input", "output", "check"]  # long rows are wrapped
    assert all(line.startswith("  ") for line in lines[lines.index("") + 1 :])


@pytest.mark.gpu
@pytest.mark.parametrize("form", ["onnx", "torch_export", "safetensors"])
def test_a_run_made_on_a_gpu(
    form: str, on_gpu: Callable[..., Finished], export: Callable[..., Finished], tmp_path: Path
) -> None:
    for package in {"onnx": ["onnxruntime", "onnxscript"], "safetensors": ["safetensors"]}.get(form, []):
        pytest.importorskip(package)
    run = on_gpu("model.norm=batch", "logger=none", "test=false")
    assert (run.status, run.err) == (0, "")
    done = export(f"run={run.folder}", f"format={form}")
    assert (done.status, done.err) == (0, "")
    assert "0 answers differ" in done.out
