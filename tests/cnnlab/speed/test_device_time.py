"""The device's share of a step, with a device whose work is counted instead of done."""

import pytest
import torch

from cnnlab.speed import device_time
from cnnlab.speed.device_time import DeviceTime


class Device:
    """Works on its queue when it is waited for; a clock of its own that launches do not touch."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.now = 0.0
        self.asleep: list[float] = []


class Event:
    device: Device

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        self.at = self.device.seconds

    def elapsed_time(self, end: "Event") -> float:
        return 1000 * (end.at - self.at)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setattr(Event, "device", device, raising=False)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: device.asleep.append(cycles / 2e9))
    monkeypatch.setattr(device_time, "perf_counter", lambda: device.now)
    return device


def run(device: Device, num_steps: int, launching: float, computing: float) -> DeviceTime:
    measured = DeviceTime(torch.device("cuda"), num_steps)
    for _ in range(2):  # epochs
        for batch_idx in range(num_steps):
            device.now += launching
            device.seconds += computing
            measured.after_step(batch_idx)
    return measured


def test_a_step_of_which_python_takes_four_fifths(device: Device) -> None:
    measured = run(device, 1000, launching=0.001, computing=0.0002)
    assert measured.busy_share(seconds_per_step=0.001) == pytest.approx(0.2)
    assert device.asleep == [pytest.approx(0.004)]  # once a run, longer than launching the step


def test_the_sleep_has_an_end_and_the_share_too(device: Device) -> None:
    measured = run(device, 1000, launching=1.0, computing=1.0)
    assert device.asleep == [0.1]
    assert measured.busy_share(seconds_per_step=0.9) == 1.0


@pytest.mark.parametrize(("num_steps", "expected"), [(3, 0.5), (1, None)])
def test_a_short_epoch(num_steps: int, expected: float | None, device: Device) -> None:
    assert run(device, num_steps, 0.01, 0.005).busy_share(0.01) == (expected and pytest.approx(expected))
