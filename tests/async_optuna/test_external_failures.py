"""Failures that say nothing about a trial's point, and the pause after them."""

import errno
from pathlib import Path

import pytest

from async_optuna import external_failures
from async_optuna.errors import SearchError
from async_optuna.external_failures import ExternalFailures, is_external

HERE = Path("/trial/7")


class OutOfMemoryError(RuntimeError):
    """By the name of torch's."""


class NoData(Exception):
    external = True


def missing(place: str) -> OSError:
    return FileNotFoundError(errno.ENOENT, "No such file or directory", place)


def raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def raised_beside(error: Exception, handled: Exception) -> Exception:
    error.__context__ = handled
    return error


@pytest.mark.parametrize(
    ("error", "external"),
    [
        (OutOfMemoryError("CUDA out of memory"), True),
        (raised_from(ValueError("out of GPU memory"), OutOfMemoryError("CUDA out of memory")), True),
        (MemoryError(), True),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.ESTALE, "Stale file handle"), True),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), True),
        (missing("/data/mnist/train"), True),
        (raised_from(ValueError("no images"), missing("/data/mnist/train")), True),
        (NoData("not mounted"), True),
        (missing("/trial/7/checkpoints/best.ckpt"), False),
        (raised_beside(ValueError("no such network"), missing("/cache/network")), False),
        (FileNotFoundError("without a name"), False),
        (PermissionError(errno.EACCES, "Permission denied", "/data/mnist"), False),
        (RuntimeError("shapes do not match"), False),
    ],
)
def test_which_failures_come_from_outside(error: Exception, external: bool) -> None:
    assert is_external(error, HERE) is external


def test_only_what_other_points_meet_too_is_not_the_points_fault() -> None:
    failures = ExternalFailures()
    assert failures.add("a", "no data")
    assert failures.add("a", "no data")
    assert not failures.add("b", "no data")
    failures.forget()
    assert failures.add("b", "no data")


def test_no_trial_is_started_for_a_while_that_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    failures = ExternalFailures()
    assert failures.pause == ""
    for seconds in (2, 4, 8, 16, 32, 60, 60):
        failures.add("a", "no data")
        assert failures.pause == f"next trial in {seconds} s"
    now += 60
    assert failures.pause == ""


def test_after_ten_in_a_row_there_are_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = ExternalFailures()
    for _ in range(external_failures._MOST_IN_A_ROW):
        failures.check()
        failures.add("a", "no data")
    with pytest.raises(
        SearchError, match="10 trials in a row failed for a reason that seems not to be their own: no data"
    ):
        failures.check()
    failures.forget()
    assert failures.why_no_more == ""
