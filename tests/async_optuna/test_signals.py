"""Requests to stop that come twice."""

import signal
import time

import pytest

from async_optuna.signals import StopRequest


def test_one_request_may_come_by_two_ways_and_a_later_one_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now, ended = 1000.0, []
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr("os._exit", ended.append)
    stop = StopRequest()
    with stop.noted(raises=lambda: False, kill=lambda: ended.append("killed")):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert (stop.signum, ended) == (signal.SIGTERM, [])
        now += 1
        signal.raise_signal(signal.SIGINT)
    assert ended == ["killed", 130]
