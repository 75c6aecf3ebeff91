"""Starts the process from which trials are forked, after it has imported what they need."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import PathFinder
from importlib.util import find_spec
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pkgutil import iter_modules

from async_optuna import watchdog
from async_optuna.errors import SearchError, did_you_mean
from async_optuna.signals import STOP_SIGNALS


def start_server(context: BaseContext, preload: Sequence[str], num_threads: int) -> None:
    """Start the process from which trials are forked; it goes on importing after this has returned.

    Args:
        context: multiprocessing's, of the start method "forkserver".
        preload: modules to import. Those that are missing would be passed over in silence.
        num_threads: of numeric libraries, unless the environment says how many.

    Raises:
        SearchError: if there is no such module.
    """
    from multiprocessing import forkserver  # does not exist on Windows

    for module in preload:
        _check_exists(module)
    context.set_forkserver_preload(["__main__", *preload])
    with _thread_limit(num_threads), _signals_ignored(), _no_word_of_leaks():
        forkserver.ensure_running()
    # It would end by itself, but not before it has imported everything, and with a traceback on the prompt.
    if (pid := getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)) is not None:
        watchdog.watch_process(pid)


def start(process: BaseProcess) -> None:
    """Fork a process from the one that has the modules.

    Raises:
        SearchError: if that is not possible.
    """
    try:
        process.start()
    except (EOFError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise SearchError(
            f"no process can be forked for a trial ({reason}); does a module of hydra.sweeper.preload fail above?"
        ) from error


def _check_exists(module: str) -> None:
    """Look for a module without importing anything, which would take long here."""
    name, _, rest = module.partition(".")
    spec, names = find_spec(name), [info.name for info in iter_modules()]
    while spec is not None and rest:
        places = list(spec.submodule_search_locations or ())
        part, _, rest = rest.partition(".")
        names = [f"{name}.{info.name}" for info in iter_modules(places)]
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, places)
    if spec is None:
        raise SearchError(f"hydra.sweeper.preload: there is no module {name}{did_you_mean(name, names)}")


@contextmanager
def _thread_limit(num_threads: int) -> Iterator[None]:
    """Numeric libraries read their number of threads when they are first loaded, which the preloading process does."""
    name = "OMP_NUM_THREADS"
    was_set = name in os.environ
    os.environ.setdefault(name, str(num_threads))
    try:
        yield
    finally:
        if not was_set:
            del os.environ[name]


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Signals that a terminal or a cluster sends to every process are left to this one, even while modules load."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {signum: signal.signal(signum, signal.SIG_IGN) for signum in STOP_SIGNALS}
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)


@contextmanager
def _no_word_of_leaks() -> Iterator[None]:
    """Python's tracker of shared semaphores warns of those that a killed trial had, and then removes them."""
    sys.warnoptions.append("ignore:resource_tracker")
    try:
        yield
    finally:
        sys.warnoptions.remove("ignore:resource_tracker")
