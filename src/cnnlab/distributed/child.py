"""A further process of a run, which launcher.py starts: it gets the config of the first one and trains with it."""

import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path

if __name__ == "__main__":  # Ctrl-C comes to the first process too, which ends this one; so it need not end its imports
    signal.signal(signal.SIGINT, signal.SIG_IGN)

from cnnlab.cli.signals import signals_raise
from cnnlab.distributed import reporting
from cnnlab.errors import Interrupted
from cnnlab.training import train

_BETWEEN_LOOKS = 1.0  # seconds
_TO_FAIL = 15.0  # seconds that the training has to notice by itself that the first process is gone


def main() -> None:
    """Train with what comes from standard input: the arguments of the command, the config and the run folder."""
    first = os.getppid()
    sys.argv, config, run_dir = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with, args=(first, run_dir), daemon=True).start()
    try:
        with signals_raise():
            train(config, run_dir)
    except Interrupted as stop:
        sys.exit(128 + stop.signum)
    except Exception as error:
        reporting.report(run_dir, error)
        sys.exit(1)


def _end_with(first: int, run_dir: Path) -> None:
    """End this process after the first one, where the training does not: it may wait for it outside of Python."""
    while os.getppid() == first:
        time.sleep(_BETWEEN_LOOKS)
    time.sleep(_TO_FAIL)
    reporting.tell_if_first_is_gone(run_dir)
    os._exit(1)


if __name__ == "__main__":
    main()
