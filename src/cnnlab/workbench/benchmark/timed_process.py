"""A command in a process of its own: its wall-clock and CPU seconds and its memory, and an end to all it started."""

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from timeit import default_timer

from cnnlab.errors import UserError

_MARK = "CNNLAB_TIMED_PROCESS"  # a variable in the environment of the process, which all that it starts inherit


@dataclass(frozen=True)
class Usage:
    """What a command took.

    Attributes:
        seconds: from its start to its end.
        cpu_seconds: of it and of the processes that it waited for.
        peak_mib: the largest resident memory that one of these processes had.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float


class TimedProcess:
    """A running command. On leaving the context everything that it has started is ended.

    Args:
        folder: its working directory; what it prints goes to the file output.txt there.
        variables: of its environment, beside those of this process.
    """

    def __init__(self, command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
        self.command, self.output, self._mark = command, folder / "output.txt", uuid.uuid4().hex
        environment = {**os.environ, **variables, _MARK: self._mark}
        self._began = default_timer()
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> "TimedProcess":
        return self

    def __exit__(self, *exception: object) -> None:
        for process in [self._process.pid] * (self._process.returncode is None) + self.others():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self._process.returncode is None:
            self._process.wait()

    def others(self) -> list[int]:
        """The processes that the command has started and that run; found on Linux only."""
        mark = f"{_MARK}={self._mark}".encode()
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in environ.read_bytes().split(b"\0"):
                    found.append(int(environ.parent.name))
        return [process for process in found if process != self._process.pid]

    def has_ended(self) -> bool:
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self) -> None:
        """Kill the command itself, as the system does when memory runs out, and not what it has started."""
        self._process.kill()
        self._process.wait()

    def wait(self) -> Usage:
        """Wait for its end.

        Raises:
            UserError: with its last line if it fails.
        """
        _, status, usage = os.wait4(self._process.pid, 0)
        seconds = default_timer() - self._began
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode:
            said = self.lines() or [f"exit status {self._process.returncode}"]
            raise UserError(f"{' '.join(self.command[:4])} …: {said[-1]}")
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)

    def lines(self) -> list[str]:
        """What it has printed."""
        return self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
