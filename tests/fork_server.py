"""Python processes that need not import torch first, for tests that start programs.

A server imports the slow libraries once and then forks a process for every command, which becomes that program. It is
a process like any other: its own id, folder, environment, streams, signals and exit status, and a child of the process
that asked for it. It is only ready after milliseconds instead of seconds. Nothing of this project is imported in the
server, so that a program finds whatever copy of it the PYTHONPATH names. Where the system is not Linux, the programs
are started as usual.
"""

import array
import atexit
import builtins
import ctypes
import fcntl
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing import process, util
from pathlib import Path
from types import ModuleType
from typing import Any

# What train.py, the searches and the scripts import, apart from this project.
LIBRARIES = ["hydra.main", "lightning.pytorch", "matplotlib.figure", "matplotlib.backends.backend_agg"]
LIBRARIES += ["optuna"]  # only: sweep
LIBRARIES += ["pandas", "tensorboard.summary", "torch.utils.tensorboard", "torchmetrics", "torchvision", "tqdm"]
AVAILABLE = sys.platform == "linux"
PR_SET_CHILD_SUBREAPER = 36  # of prctl(2)


class ForkServer:
    """The server, started with the first command; it ends with the process that started it."""

    def __init__(self) -> None:
        self._connection: socket.socket | None = None
        self._owner = os.getpid()
        self._lock = threading.Lock()

    def spawn(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: str,
        descriptors: Mapping[int, int],
        new_session: bool = False,
    ) -> int:
        """Start `python <arguments>` and return its process id.

        Args:
            descriptors: the open files it is given: their numbers there, and here.
        """
        if self._owner != os.getpid():  # a fork of the owner cannot become the parent of what the server starts
            self.__init__()  # type: ignore[misc]
        request = {"command": list(command), "environment": dict(environment), "folder": folder}
        message = json.dumps(request | {"descriptors": list(descriptors), "new_session": new_session}).encode()
        with self._lock:  # threads take turns: each is to get the answer to its own request
            connection = self._connection or self._start()
            _adopt_grandchildren(True)
            try:
                socket.send_fds(connection, [len(message).to_bytes(8, "big")], list(descriptors.values()))
                connection.sendall(message)
                number = int.from_bytes(_received(connection, 8), "big")
            finally:
                _adopt_grandchildren(False)
        if number == 0:  # which in a call of os.kill would mean the whole group of this process
            raise OSError("the server could not fork")
        return number

    def _start(self) -> socket.socket:
        here, there = socket.socketpair()
        unwanted = {"PYTHONPATH", "PYTHONWARNINGS"}
        environment = {name: value for name, value in os.environ.items() if name not in unwanted}
        command = [sys.executable, __file__, str(there.fileno())]
        process = _Popen(command, env=environment, pass_fds=[there.fileno()], start_new_session=True)
        there.close()
        self._connection = here
        atexit.register(process.wait)
        atexit.register(here.close)
        return here


_Popen = subprocess.Popen  # a test may put the one below in its place
SERVER = ForkServer()


class _ForkedPopen(subprocess.Popen[Any]):
    """subprocess.Popen, but the server forks Python programs; Ctrl-C and SIGHUP have their default meaning in them."""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, *more: Any) -> None:  # type: ignore[override]
        if args[0] != sys.executable:
            super()._execute_child(args, executable, preexec_fn, close_fds, *more)  # type: ignore[misc]
            return
        pass_fds, cwd, env, _, _, _, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *rest = more
        streams = {0: p2cread, 1: c2pwrite, 2: errwrite}
        given = {number: number if stream == -1 else stream for number, stream in streams.items()}
        given |= {number: number for number in pass_fds}
        environment = os.environ if env is None else env
        words = [os.fspath(word) for word in args]
        self.pid = SERVER.spawn(words, environment, os.fspath(cwd or os.getcwd()), given, new_session=rest[-2])
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)


Popen = _ForkedPopen if AVAILABLE else subprocess.Popen


def run(
    command: Sequence[str | Path], *, check: bool = False, timeout: float | None = None, **settings: Any
) -> "subprocess.CompletedProcess[str]":
    """subprocess.run, with the output as text, of a command that begins with sys.executable."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with Popen(command, **pipes, **settings) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


_spawnv_passfds = util.spawnv_passfds


def spawnv_passfds(path: Any, args: Any, passfds: Any) -> int:
    """multiprocessing.util.spawnv_passfds, which gets from the server what multiprocessing forks its processes from."""
    words = [os.fsdecode(word) for word in args]
    if not AVAILABLE or "multiprocessing.forkserver" not in words[-1]:
        return int(_spawnv_passfds(path, args, passfds))
    return SERVER.spawn(words, os.environ, os.getcwd(), {number: number for number in (0, 1, 2, *passfds)})


def _adopt_grandchildren(wanted: bool) -> None:
    """Whether this process becomes the parent of a grandchild whose parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def _received(connection: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        more = connection.recv(count - len(content))
        if not more:
            raise EOFError
        content += more
    return content


# --- In the server ----------------------------------------------------------------------------------------------------


def serve(connection: socket.socket) -> dict[str, Any]:
    """Fork a process for each request. Only these processes return, each with its request."""
    while True:
        try:
            header, ancillary, *_ = connection.recvmsg(8, socket.CMSG_SPACE(64))
            if not header:
                os._exit(0)
            request = json.loads(_received(connection, int.from_bytes(header, "big")))
        except (EOFError, OSError):
            os._exit(0)
        numbers = array.array("i")
        for _, _, content in ancillary:
            numbers.frombytes(content)
        here, there = os.pipe()
        child = os.fork()
        if child == 0:
            # The process is this one's child. Once this one has ended, its parent is the process that asked for it.
            ended, alive = os.pipe()
            try:
                if os.fork() != 0:
                    os._exit(0)
            except OSError:
                os._exit(1)
            # A signal that it sends to its group reaches neither the server nor other programs.
            os.setsid() if request["new_session"] else os.setpgid(0, 0)
            os.write(there, os.getpid().to_bytes(8, "big"))
            os.close(alive)
            connection.close()
            os.read(ended, 1)  # returns when that one has ended
            request["descriptors"] = dict(zip(request["descriptors"], numbers, strict=True))
            return dict(request)
        os.close(there)
        number = os.read(here, 8) or bytes(8)  # nothing if no process could be forked
        os.waitpid(child, 0)
        connection.sendall(number)
        for descriptor in (here, *numbers):
            os.close(descriptor)


def become(request: dict[str, Any]) -> None:
    """Take on the folder, the environment, the open files and the signals that were asked for."""
    first = 100  # numbers from here on are out of the way of those that are asked for
    kept = {number: fcntl.fcntl(old, fcntl.F_DUPFD, first) for number, old in request["descriptors"].items()}
    os.closerange(0, first)
    for number, descriptor in kept.items():
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    process.ORIGINAL_DIR = request["folder"]  # below which multiprocessing looks for the script
    os.environ.clear()
    os.environ.update(request["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", 1 if os.isatty(1) else -1, closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)


def become_program(words: list[str]) -> None:
    """Do what the interpreter does for `python <words>`."""
    options = []
    while words[0][:2] in ("-W", "-B", "-u"):
        option = words.pop(0)
        if option[:2] == "-W":
            options.append(option[2:] or words.pop(0))
    options += filter(None, os.environ.get("PYTHONWARNINGS", "").split(","))
    options = [option for option in options if option != "ignore:resource_tracker"]  # of searches; none is forked here
    assert set(options) <= {"error"}, options
    if options:
        sys.warnoptions[:] = options
        warnings.simplefilter("error")
    sys.path[0:1] = os.environ.get("PYTHONPATH", "").split(os.pathsep) if "PYTHONPATH" in os.environ else []
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path.insert(0, os.getcwd())
        # Of plugins that are among the libraries.
        os.environ["PYTEST_ADDOPTS"] = "-W ignore::pytest.PytestAssertRewriteWarning"
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    main = sys.modules["__main__"] = ModuleType("__main__")
    main.__builtins__ = builtins
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        sys.path.insert(0, "")
        code = compile(words[1], "<string>", "exec")
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(words[0]).resolve().parent))
        main.__file__ = words[0]
        code = compile(Path(words[0]).read_bytes(), words[0], "exec")
    exec(code, vars(main))


def exit_status_of_program(words: list[str]) -> int:
    """Run the program to its end, its threads and exit handlers included, and say what the interpreter would."""
    status = 0
    try:
        become_program(words)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # so that a collection in a process copies none of it
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    become(asked)
    os._exit(exit_status_of_program(asked["command"][1:]))  # taking the libraries down would take a second
