"""How threads wait follows what the machine has to offer, and leaves nothing behind."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cnnlab.callbacks.waiting import Waiting, number_of_sleepers
from cnnlab.speed import threads
from conftest import Finished

# A worker that waits for so long is awake all the time unless libgomp is told otherwise.
CPU_SECONDS = """
import time, torch
from cnnlab.callbacks.waiting import Waiting, _Sleeper
def seconds():
    torch.zeros(2**18).add_(1)
    began = time.process_time()
    time.sleep(0.3)
    return time.process_time() - began
print(seconds())
sleeper = _Sleeper()
print(seconds())
"""


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threads, "allowed_cpus", lambda: 2)
    monkeypatch.setattr(threads, "is_left_to_us", lambda: True)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def sleepers() -> int:
    return sum(thread.name == "sleeper" for thread in threading.enumerate())


@pytest.mark.usefixtures("two_threads")
def test_threads_sleep_while_others_have_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu: Any = SimpleNamespace(device=torch.device("cpu"))
    trainer: Any = None
    waiting, seen = Waiting(), []
    for had, wanted in ((9.5, 10.0), (14.0, 20.0), (23.5, 30.0), (33.4, 40.0)):  # 95 %, 45 %, 95 %, 99 %
        monkeypatch.setattr(threads, "core_time", lambda it=(had, wanted): it)
        (waiting.on_train_epoch_end if seen else waiting.on_train_start)(trainer, cpu)
        seen.append((waiting.is_asleep, sleepers()))
    assert seen == [(False, 0), (True, 1), (False, 0), (False, 0)]
    monkeypatch.setattr(threads, "core_time", lambda: (33.4, 50.0))
    waiting.on_train_epoch_end(trainer, cpu)
    assert sleepers() == 1
    waiting.on_exception(trainer, cpu, ValueError())
    assert sleepers() == 0


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("device", "ours"), [("cpu", False), ("meta", True)])
def test_a_gpu_and_a_setting_of_ones_own_are_left_alone(
    device: str, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "is_left_to_us", lambda: ours)
    monkeypatch.setattr(threads, "core_time", lambda: (1.0, 10.0))
    waiting = Waiting()
    waiting.on_train_start(None, SimpleNamespace(device=torch.device(device)))  # type: ignore[arg-type]
    assert not waiting.is_asleep


@pytest.mark.usefixtures("two_threads")
def test_a_run_on_a_busy_machine_gives_the_same_numbers(
    smoke: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose, seen, losses = Waiting._choose, [], []

    def watched(self: Waiting) -> None:
        choose(self)
        seen.append(sleepers())

    monkeypatch.setattr(Waiting, "_choose", watched)
    for share in (1.0, 0.2):
        seconds = count(1)
        monkeypatch.setattr(threads, "core_time", lambda s=share, it=seconds: (s * (now := next(it)), now))
        run = smoke("logger=none")
        assert run.status == 0, run.err
        losses.append((run.metrics["val/loss"], run.metrics["test/loss"]))
    assert seen == [0, 0, 1, 1]  # at the start of each run, and at the end of its only epoch
    assert losses[0] == losses[1]
    assert sleepers() == 0


@pytest.mark.parametrize(
    ("num_threads", "num_cores", "expected"), [(1, 8, 0), (2, 2, 1), (16, 16, 1), (2, 4, 3), (4, 16, 5), (2, 64, 0)]
)
def test_there_are_just_more_threads_than_cores(num_threads: int, num_cores: int, expected: int) -> None:
    assert number_of_sleepers(num_threads, num_cores) == expected
    if expected:
        assert 1 + (num_threads - 1) * (expected + 1) > num_cores >= 1 + (num_threads - 1) * expected


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or threads.allowed_cpus() < 2, reason="needs libgomp and two cores")
def test_a_sleeper_makes_the_threads_sleep(environment: dict[str, str]) -> None:
    variables = {"GOMP_SPINCOUNT": "1000000000", "OMP_NUM_THREADS": str(threads.allowed_cpus())}
    command = [sys.executable, "-c", CPU_SECONDS]
    kept = {name: value for name, value in os.environ.items() if name not in threads.SETTINGS}
    shown = subprocess.run(command, env=kept | variables, capture_output=True, text=True, check=True)
    before, meanwhile = map(float, shown.stdout.split())
    assert meanwhile < before / 2
