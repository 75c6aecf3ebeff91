"""Starts the further processes of a run on this machine, and ends the run if one of them is lost."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from lightning.pytorch import Trainer
from omegaconf import DictConfig

from cnnlab.distributed.reporting import is_of_a_connection
from cnnlab.distributed.unheard_stops import UnheardStops
from cnnlab.errors import Interrupted, ProcessLost, UserError
from cnnlab.runs import failures, ranks

# By which torch's processes find each other; the next run of a grid has its own.
_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")
_STOPPED = 128  # what a stop adds to the number of its signal, see Command
_BETWEEN_LOOKS = 0.5  # seconds
_TO_NOTICE = 5.0  # seconds in which the system tells that a process has ended, after its connection
_TO_END = 60.0  # seconds for the other processes after the first one has finished
_TO_STOP = 3.0  # seconds from asking a process to end to forcing it
# Seconds that the training has to notice by itself that a process is lost; before it begins, nothing notices.
_TO_FAIL, _TO_MEET = 20.0, 2.0


class Launcher:
    """Takes the place of Lightning's launcher, which would call this script again with the same arguments.

    That would start a second search or grid, and could not go on with a run. Here the further processes get the first
    one's config itself. They end with it, and it ends with them.

    Args:
        trainer: of the run.
        config: of the run, with everything settled that depends on the machine.
        run_dir: the run folder.
    """

    is_interactive_compatible = False

    def __init__(self, trainer: Trainer, config: DictConfig, run_dir: Path) -> None:
        self.config, self.run_dir, self.world_size = config, run_dir, trainer.world_size
        starts_others = ranks.launcher() is None and "LOCAL_RANK" not in os.environ
        self._num_missing = trainer.num_devices - 1 if starts_others else 0
        self._children: list[subprocess.Popen[bytes]] = []
        self._is_over = threading.Event()
        self._stops = UnheardStops(self._end_unheard)

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Trainer | None = None, **kwargs: Any) -> Any:
        """Called by Lightning for every fit and test; the processes stay from the first to the last of them."""
        if self._num_missing and not self._children:
            self._start()
        return function(*args, **kwargs)

    def kill(self, signum: int) -> None:
        for child in self._children:
            child.send_signal(signum)

    @contextmanager
    def running(self) -> Iterator[None]:
        """End the other processes with this one; in the first one tell which of them has ended before.

        Raises:
            UserError: if another process is lost, with what became of it.
        """
        before = {name: os.environ.get(name) for name in _VARIABLES}
        is_done = False
        try:
            with self._stops.listening():
                yield
            is_done = True
        except Exception as error:
            if self.world_size > 1 and ranks.rank() == 0 and is_of_a_connection(error):
                raise self._why() from error
            raise
        finally:
            self._is_over.set()
            self._end(is_done)
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
            for name in _VARIABLES:
                os.environ.pop(name, None)
            os.environ.update({name: value for name, value in before.items() if value is not None})

    def _start(self) -> None:
        values = ("127.0.0.1", str(find_free_network_port()), "0", "0", str(self.world_size))
        os.environ.update(zip(_VARIABLES, values, strict=True))
        job = pickle.dumps((sys.argv, self.config, self.run_dir))
        modules = os.pathsep.join(path for path in sys.path if path)
        for local_rank in range(1, self._num_missing + 1):
            command = [sys.executable, "-P", "-m", "cnnlab.distributed.child"]
            variables = os.environ | {"LOCAL_RANK": str(local_rank), ranks.FURTHER: "1", "PYTHONPATH": modules}
            child = subprocess.Popen(command, env=variables, stdin=subprocess.PIPE)
            self._children.append(child)
            with suppress(OSError):  # it has ended, which is noticed soon
                assert child.stdin is not None
                child.stdin.write(job)
                child.stdin.close()
        threading.Thread(target=self._watch, name="watch over the other processes", daemon=True).start()

    def _lost(self) -> str | None:
        """Say what has become of a process that has ended too early; None if there is none."""
        for number, child in enumerate(self._children, start=1):
            if code := child.poll():
                how = f"was killed by {_name(-code)}" if code < 0 else f"has ended with exit status {code}"
                if code > _STOPPED:
                    how = f"was stopped by {_name(code - _STOPPED)}"
                return f"process {number} of {self.world_size} {how}"
        return None

    def _why(self) -> UserError:
        """Return the error that tells why another process does not answer, which may take a moment to be known."""
        deadline = time.monotonic() + (_TO_NOTICE if self._children else 2 * _BETWEEN_LOOKS)
        while True:
            lost, cause = self._lost(), failures.cause(self.run_dir)
            if cause:
                return UserError(failures.with_advice(cause, self.run_dir))
            if lost or time.monotonic() > deadline:
                lost = lost or "another process of the run has ended"
                return ProcessLost(failures.with_advice(lost, self.run_dir))
            time.sleep(_BETWEEN_LOOKS / 5)

    def _watch(self) -> None:
        """End this process where the training does not: it may wait for the lost one outside of Python."""
        while not self._is_over.wait(_BETWEEN_LOOKS):
            if self._lost() is None:
                continue
            if not self._is_over.wait(_TO_FAIL if torch.distributed.is_initialized() else _TO_MEET):
                if self._stops.signum is not None:  # it came to all processes, and the others have ended by it
                    self._end_unheard(self._stops.signum)
                line = failures.with_advice(failures.cause(self.run_dir) or str(self._lost()), self.run_dir)
                with suppress(OSError):
                    failures.leave_cause(self.run_dir, line)
                    print(f"error: {line}", file=sys.stderr, flush=True)
                self.kill(signal.SIGKILL)
                os._exit(1)
            return

    def _end_unheard(self, signum: int) -> None:
        """End all at a stop that this process cannot hear; only the first process tells of it."""
        self._is_over.set()
        if ranks.rank() == 0:
            stop = Interrupted(signum)
            stop.advice = failures.advice(self.run_dir)
            failures.claim_telling(self.run_dir)
            with suppress(OSError):
                print(stop, file=sys.stderr, flush=True)
        self.kill(signal.SIGKILL)
        os._exit(_STOPPED + signum)

    def _end(self, is_done: bool) -> None:
        if not is_done:
            self.kill(signal.SIGTERM)
        deadline = time.monotonic() + (_TO_END if is_done else _TO_STOP)
        for child in self._children:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._children, self._num_missing = [], 0


def _name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"
