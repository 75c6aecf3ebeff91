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
from cnnlab.workbench.benchmark.time_to_accuracy import RECIPES, SMALL
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
FAST99 = ("--network", "compact_cnn", "--lr", "0.02", "--one-cycle", "--label-smoothing", "0.1")
FAST98_STEPS = ("--steps", "150")


def epoch(settings: Settings, batch_size: int, repeat: int) -> list[Row]:
    """An epoch of TinyVGG with AdamW at a constant rate, which is what all tools can do alike."""
    ours = ["scheduler=none", "trainer.max_epochs=1", f"data.batch_size={batch_size}"]
    return in_turn(settings, ours, (), batch_size, repeat)


def to_accuracy(settings: Settings, accuracy_aim: int, repeat: int) -> list[Row]:
    """The network and the recipe of experiment=fast99 in every tool."""
    shorter = FAST98_STEPS if accuracy_aim == 98 else ()
    return in_turn(settings, RECIPES[accuracy_aim], (*FAST99, *shorter), 128, repeat)


def in_turn(settings: Settings, ours: Sequence[str], theirs: Sequence[str], batch_size: int, repeat: int) -> list[Row]:
    """One process after the other, this project first.

    Args:
        ours: overrides of train.py.
        theirs: options of the peers' scripts.
    """
    peers = PEERS[:1] if settings.smoke else PEERS
    more = [*theirs, "--batch-size", str(batch_size), *(["--steps", "2"] if settings.smoke else [])]
    overrides = [*ours, *settings.overrides, f"seed={repeat}", *(SMALL if settings.smoke else [])]
    rows = [_row(OURS, repeat, _train_ours(overrides))]
    with mnist_folder(settings.smoke) as data:
        for peer in peers:
            try:
                rows.append(_row(peer.name, repeat, _train(peer, [*more, "--data", data, "--seed", str(repeat)])))
            except NotInstallable as error:
                rows.append({"variant": peer.name, "repeat": repeat, "reason": str(error)})
    return rows


def _row(variant: str, repeat: int, measured: Row) -> Row:
    return {"variant": variant, "repeat": repeat, "threads": 1, "load": os.getloadavg()[0], **measured}


def _train_ours(overrides: Sequence[str]) -> Row:
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        command = [sys.executable, str(PROJECT / "train.py"), *overrides, "hydra.run.dir=run"]
        with TimedProcess(command, Path(folder), ONE_THREAD) as process:
            usage = process.wait()
        metrics = read_json(Path(folder) / "run/metrics.json")
    images = metrics["images_per_second"] * metrics["train_seconds"]
    measured = {"train_seconds": metrics["train_seconds"], "images": images, "accuracy": metrics["test/accuracy"]}
    return {**vars(usage), **measured, "dataset": metrics["dataset"], "precision": metrics["precision"]}


def _train(peer: Peer, options: Sequence[str]) -> Row:
    command = [peer.interpreter(), str(SCRIPTS / peer.script), *options, *peer.options]
    with (
        tempfile.TemporaryDirectory(prefix="benchmark_") as folder,
        TimedProcess(command, Path(folder), ONE_THREAD) as process,
    ):
        usage = process.wait()
        answer = json.loads(process.lines()[-1])
    return {**vars(usage), **answer, "version": peer.version, "precision": "32-true"}
