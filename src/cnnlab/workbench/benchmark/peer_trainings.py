"""One training of each tool in a process of its own: from Enter to the score on the test images."""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cnnlab.runs.json_files import read_json
from cnnlab.workbench.benchmark.bench import PROJECT
from cnnlab.workbench.benchmark.measuring import Row, Settings
from cnnlab.workbench.benchmark.peer_data import mnist_folder
from cnnlab.workbench.benchmark.peer_environment import NotInstallable, Peer
from cnnlab.workbench.benchmark.time_to_accuracy import FAST98, SMALL
from cnnlab.workbench.benchmark.timed_process import TimedProcess

OURS = "cnnlab"
SCRIPTS = PROJECT / "scripts/peers"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
PEERS = (
    Peer("Lightning, 0 workers", "train_lightning.py", "lightning"),
    Peer("Lightning, 2 workers", "train_lightning.py", "lightning", options=("--workers", "2")),
    Peer("Keras on torch", "train_keras.py", "keras", packages=("keras>=3,<4",)),
    Peer("fastai, 0 workers", "train_fastai.py", "fastai", packages=("fastai>=2.8,<3",)),
)
MNIST_CNN = (
    "--batch-size",
    "128",
    "--network",
    "compact_cnn",
    "--lr",
    "0.02",
    "--one-cycle",
    "--label-smoothing",
    "0.1",
)
MNIST_CNN_98 = ("--steps", "150")


BY_NAME = {OURS: None, **{peer.name: peer for peer in PEERS}}


def epoch(settings: Settings, tool: str, batch_size: int, repeat: int) -> list[Row]:
    """An epoch of TinyVGG with AdamW at a constant rate, which is what all tools can do alike."""
    ours = ["scheduler=none", "trainer.max_epochs=1", f"data.batch_size={batch_size}"]
    return [train(settings, tool, ours, ["--batch-size", str(batch_size)], repeat)]


def to_accuracy(settings: Settings, tool: str, accuracy_aim: int, repeat: int) -> list[Row]:
    """The network and the recipe of experiment=mnist_cnn in every tool."""
    is_short = accuracy_aim == 98
    ours = ["experiment=mnist_cnn", *(FAST98 if is_short else [])]
    return [train(settings, tool, ours, [*MNIST_CNN, *(MNIST_CNN_98 if is_short else [])], repeat)]


def train(settings: Settings, tool: str, ours: Sequence[str], theirs: Sequence[str], repeat: int) -> Row:
    """One training in a process of its own.

    Args:
        ours: overrides of train.py.
        theirs: options of the peers' scripts.
        repeat: also the seed.
    """
    row: Row = {"variant": tool, "repeat": repeat, "threads": 1, "load": os.getloadavg()[0]}
    peer = BY_NAME[tool]
    if peer is None:
        overrides = [*ours, *settings.overrides, f"seed={repeat}", *(SMALL if settings.smoke else [])]
        return {**row, **_train_ours(overrides)}
    options = [*theirs, "--seed", str(repeat), *(["--steps", "2"] if settings.smoke else [])]
    try:
        return {**row, **_train(peer, options, settings.smoke)}
    except NotInstallable as error:
        return {**row, "reason": str(error)}


def _train_ours(overrides: Sequence[str]) -> Row:
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        command = [sys.executable, str(PROJECT / "train.py"), *overrides, "hydra.run.dir=run"]
        with TimedProcess(command, Path(folder), ONE_THREAD) as process:
            usage = process.wait()
        metrics = read_json(Path(folder) / "run/metrics.json")
    images = metrics["images_per_second"] * metrics["train_seconds"]
    measured = {"train_seconds": metrics["train_seconds"], "images": images, "accuracy": metrics["test/accuracy"]}
    return {**vars(usage), **measured, "dataset": metrics["dataset"], "precision": metrics["precision"]}


def _train(peer: Peer, options: Sequence[str], smoke: bool) -> Row:
    command = [peer.interpreter(), str(SCRIPTS / peer.script), *options, *peer.options]
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder, mnist_folder(smoke) as data:
        with TimedProcess([*command, "--data", data], Path(folder), ONE_THREAD) as process:
            usage = process.wait()
        (answer,) = (json.loads(line[line.index("{") :]) for line in process.lines() if "train_seconds" in line)
    return {**vars(usage), **answer, "version": peer.version, "precision": "32-true"}
