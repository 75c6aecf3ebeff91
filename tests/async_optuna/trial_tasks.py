"""For the tests of this folder: tasks that a trial's process imports."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from optuna import TrialPruned

from async_optuna import trial
from async_optuna.worker import Job

LEFT = "left.json"


def do(job: Job) -> Any:
    """Do what the job's first override says, with the rest as its arguments."""
    what, *rest = job.overrides
    return globals()[what](job, *rest)


def square(job: Job, x: str = "3") -> float:
    return float(x) ** 2


def look(job: Job) -> float:
    """Write down what this process is and sees."""
    loaded = "async_optuna.worker" in sys.modules
    seen = {"pid": os.getpid(), "group": os.getpgid(0), "loaded": loaded, "environment": dict(os.environ)}
    (job.folder / LEFT).write_text(json.dumps(seen), encoding="utf-8")
    print("to the output")
    print("to the errors", file=sys.stderr)
    subprocess.run(["echo", "from a child"], check=True)
    return 0.0


def report(job: Job, *values: str) -> float:
    """Report one value after another, until asked to stop."""
    running = trial.current()
    assert running is not None
    for step, value in enumerate(map(float, values), 1):
        if running.report(value, step):
            return value
    return float(values[-1])


def set_down(job: Job, size: str, value: str = "1") -> float | None:
    """Set all that can be set; give up where the size breaks a limit."""
    running = trial.current()
    assert running is not None
    running.set_user_attr("notes", ["plain", {"data": 1}])
    running.set_metric("size", int(size))
    if running.violation():
        raise TrialPruned(running.violation())
    running.set_constraint("heat", 0.5)
    return float(value)


def kill(job: Job) -> None:
    print("last words")
    os.kill(os.getpid(), signal.SIGKILL)


def leave(job: Job, status: str) -> None:
    os._exit(int(status))


def wait(job: Job, seconds: str = "60") -> float:
    print("waiting")
    begin(job, os.getpid())
    time.sleep(float(seconds))
    return 0.0


def untidy(job: Job) -> None:
    """Wait, and go wrong on the way out."""
    begin(job, os.getpid())
    try:
        time.sleep(60)
    except BaseException:
        raise AttributeError("of what was half done") from None


def deaf(job: Job) -> None:
    """Wait, whatever is said."""
    begin(job, os.getpid())
    while True:
        try:
            time.sleep(60)
        except BaseException:
            continue


def hold(job: Job) -> None:
    """Hold the interpreter, so that no other thread of this process runs."""
    begin(job, os.getpid())
    while True:
        ctypes.PyDLL(None).sleep(60)


def report_when_told(job: Job) -> float:
    """Report once there is a file that says so."""
    begin(job, os.getpid())
    while not (job.folder / "report").exists():
        time.sleep(0.01)
    return report(job, "1")


def parent(job: Job) -> float:
    """Wait with a child that would go on without its parent."""
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    begin(job, os.getpid(), child.pid)
    time.sleep(60)
    return 0.0


def orphan(job: Job) -> float:
    """End, and leave a child behind."""
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    begin(job, child.pid)
    return 0.0


def prune(job: Job, *words: str) -> None:
    raise TrialPruned(*words)


def fail(job: Job) -> None:
    raise RuntimeError("\n  this went wrong\nand that")


def fail_at_length(job: Job) -> None:
    raise RuntimeError("x" * 2_000_000)


class CannotBe(ValueError):
    infeasible = True


def impossible(job: Job) -> None:
    raise CannotBe("a kernel of 9 does not fit\ninto 7")


def give(job: Job, text: str) -> Any:
    return eval(text, {"nan": float("nan"), "inf": float("inf")})


def begin(job: Job, *pids: int) -> None:
    (job.folder / ".part").write_text(json.dumps(pids), encoding="utf-8")
    (job.folder / ".part").rename(job.folder / LEFT)


def add(first: int, second: int) -> int:
    return first + second


def refuse(words: str) -> None:
    from cnnlab.errors import UserError

    raise UserError(words)
