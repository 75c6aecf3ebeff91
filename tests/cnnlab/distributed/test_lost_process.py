"""A process that ends takes the others with it, within a minute, with one line that says how to go on."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from conftest import PROJECT, Finished

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
LONG = ["trainer=ddp_cpu", "model=linear", "data.train_size=2000", "data.val_size=99", "logger=none"]
LONG += ["trainer.max_epochs=2000", "scheduler=none"]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


class Run:
    """A run in two processes, in a session of its own, and what it has printed."""

    def __init__(self, folder: Path, environment: dict[str, str], launcher: list[str], *arguments: str) -> None:
        self.run_dir = folder / "a run"
        command = [sys.executable, *launcher, str(PROJECT / "train.py"), *LONG, *arguments]
        self.process = subprocess.Popen(
            [*command, f"hydra.run.dir={self.run_dir}"],
            cwd=folder,
            env=environment | {"OF_RUN": str(self.run_dir)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def rank(self, number: int) -> int:
        """The id of the process that trains as this one of two."""
        trains = [
            pid for pid, command in self.alive().items() if "train.py" in command or "distributed.child" in command
        ]
        of_launcher = [pid for pid in trains if "distributed.run" not in self.alive()[pid]]
        return sorted(of_launcher, key=_rank_of)[number]

    def alive(self) -> dict[int, str]:
        """Id and command of the run's processes; torchrun's are in sessions of their own."""
        found = {}
        for variables in Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"OF_RUN={self.run_dir}" in variables.read_text().split("\0"):
                    found[int(variables.parent.name)] = variables.with_name("cmdline").read_text().replace("\0", " ")
            except (OSError, ValueError):  # it has just ended, or belongs to somebody else
                continue
        return found

    def wait_for(self, path: str) -> None:
        wait_until(lambda: (self.run_dir / path).exists() or self.process.poll() is not None, 300)
        assert self.process.poll() is None, self.process.communicate()

    def ended(self, seconds: float = 90) -> tuple[int, str]:
        """Wait for the end of all processes; return exit status and standard error of the first one."""
        wait_until(lambda: not self.alive(), seconds)
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors


def _rank_of(pid: int) -> str:
    variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return next((value[5:] for value in variables if value.startswith("RANK=")), "") or str(
        int("LOCAL_RANK=1" in variables)
    )


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s"
        time.sleep(0.05)


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def started(launcher: list[str], *arguments: str) -> Run:
        runs.append(Run(tmp_path, environment, launcher, *arguments))
        runs[-1].wait_for("checkpoints/last.ckpt")
        return runs[-1]

    yield started
    for run in runs:
        for pid in run.alive():
            os.kill(pid, signal.SIGKILL)


def lines_of(errors: str) -> list[str]:
    """Those of the run; torchrun's own report is long."""
    return [line for line in errors.splitlines() if line.startswith(("error:", "stopped by")) or "resume=" in line]


@pytest.mark.parametrize("where", ["an epoch", "a validation"])
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_other(
    victim: int, where: str, start: Callable[..., Run], train: Callable[..., Finished]
) -> None:
    slow = ["data.eval_batch_size=1"] if where == "a validation" else []  # then nearly all of the time is validation
    run = start([], *slow)
    os.kill(run.rank(victim), signal.SIGKILL)
    status, errors = run.ended()
    assert status == (1 if victim else -signal.SIGKILL)
    who = "process 1 of 2 was killed by SIGKILL" if victim else "the first process of the run has ended"
    (line,) = errors.splitlines()
    assert re.fullmatch(rf"error: {who}; continue with: .*train.py 'resume=a run'", line)
    assert (run.run_dir / "error.txt").read_text().startswith(who)
    epochs = torch.load(run.run_dir / "checkpoints/last.ckpt", weights_only=True)["epoch"] + 1
    resumed = train("resume=a run", "trainer.devices=1", f"trainer.max_epochs={epochs + 1}")
    assert resumed.status == 0, resumed.err
    assert not (run.run_dir / "error.txt").exists()


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_of_torchrun_ends_the_other(victim: int, start: Callable[..., Run]) -> None:
    run = start(TORCHRUN)
    os.kill(run.rank(victim), signal.SIGKILL)
    status, errors = run.ended()
    assert status == 1
    (line,) = lines_of(errors)
    assert line.endswith("train.py 'resume=a run'")


@pytest.mark.parametrize(
    ("signum", "to_all", "status"),
    [
        (signal.SIGINT, True, 130),
        (signal.SIGTERM, True, 143),
        (signal.SIGTERM, False, 143),
        (signal.SIGINT, False, 130),
    ],
)
def test_a_stop_is_told_once(signum: int, to_all: bool, status: int, start: Callable[..., Run]) -> None:
    run = start([])
    if to_all:
        os.killpg(run.process.pid, signum)
    else:
        run.process.send_signal(signum)
    code, errors = run.ended()
    (line,) = errors.splitlines()
    assert line.startswith(f"stopped by {'Ctrl-C' if signum == signal.SIGINT else 'SIGTERM'}; continue with: ")
    assert code == status


STOPPING = """
import os, signal, time
import torch
from lightning.pytorch import Callback

class StopAmid(Callback):
    def on_train_batch_end(self, trainer, *_):
        if trainer.current_epoch == 1:
            if trainer.global_rank == 0:
                time.sleep(0.5)  # the other process waits for this one's part of the sum
                os.kill(os.getpid(), signal.SIGTERM)
            torch.distributed.all_reduce(torch.ones(1))
"""


def test_a_stop_amid_an_exchange_ends_both(
    start: Callable[..., Run], environment: dict[str, str], tmp_path: Path
) -> None:
    """As often as not a signal comes while a process has begun a sum or an average with the others."""
    (tmp_path / "stopping.py").write_text(STOPPING)
    environment["PYTHONPATH"] = str(tmp_path)
    run = start([], "+callbacks.stop={_target_: stopping.StopAmid}")
    code, errors = run.ended(40)
    (line,) = errors.splitlines()
    assert line.startswith("stopped by SIGTERM; continue with: ")
    assert code == 143


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_a_process_that_waits_for_a_frozen_one(signum: int, start: Callable[..., Run]) -> None:
    run = start([])
    os.kill(run.rank(1), signal.SIGSTOP)
    time.sleep(1)  # the first process waits for it by now, and runs no handler of Python's
    run.process.send_signal(signum)
    code, errors = run.ended(40)
    (line,) = errors.splitlines()
    assert line.startswith("stopped by ")
    assert "; continue with: " in line
    assert code == 128 + signum


def test_a_process_that_is_lost_before_the_training_ends_the_other(tmp_path: Path, environment: dict[str, str]) -> None:
    run = Run(tmp_path, environment, [])
    wait_until(lambda: any("distributed.child" in command for command in run.alive().values()), 60)
    os.kill(next(pid for pid, command in run.alive().items() if "distributed.child" in command), signal.SIGKILL)
    status, errors = run.ended()
    assert status == 1
    assert errors == (
        "error: process 1 of 2 was killed by SIGKILL; no epoch was finished, so there is nothing to resume\n"
    )


def test_an_error_of_one_process_is_told_once_by_the_first(start: Callable[..., Run], tmp_path: Path) -> None:
    """A photograph cannot be read any more, which only the process notices that reads it in this epoch."""
    for number in range(40):
        for name in ("cats", "dogs"):
            file = tmp_path / f"photos/{name}/{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (number, 255 - number, 9)).save(file)
    photos = ["data=image_folder", "data.root=photos", "data.in_memory=false", "data.num_workers=0"]
    run = start([], *photos, "data.train_size=null", "data.val_size=null", "data.batch_size=4")
    for number in range(40):
        (tmp_path / f"photos/cats/{number}.png").write_bytes(b"no picture")
    status, errors = run.ended()
    assert status == 1
    (line,) = errors.splitlines()
    assert "cats" in line
