"""Calls a function in a process of its own, for a check that may load and use anything."""

import os
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from async_optuna.errors import is_told_in_one_line, on_one_line
from async_optuna.signals import STOP_SIGNALS
from async_optuna.worker import become, die_with_parent


def call_and_send(
    connection: Connection, environment: dict[str, str], function: Callable[..., Any], arguments: Sequence[Any]
) -> None:
    """Send what the function returns, or the message of what it raises, to the process that waits for it."""
    os.setsid()
    for signum in STOP_SIGNALS:
        signal.signal(signum, signal.SIG_DFL)
    become(environment)
    threading.Thread(target=die_with_parent, daemon=True).start()
    try:
        connection.send((function(*arguments), None))
    except Exception as error:
        if is_told_in_one_line(error):
            connection.send((None, str(error)))
        else:
            traceback.print_exc()
            connection.send((None, f"{type(error).__name__}: {on_one_line(error)}"))
