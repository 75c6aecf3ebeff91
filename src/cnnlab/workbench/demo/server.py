"""A page served to this machine alone, until Ctrl-C."""

import asyncio
import errno
import logging
import re
import signal
import socket
from types import FrameType
from typing import Any

from bokeh.application import Application
from bokeh.application.handlers import FunctionHandler
from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import ErrorHandler

from cnnlab.errors import Interrupted, UserError
from cnnlab.workbench.demo.page import page_of
from cnnlab.workbench.prediction.predictor import Predictor

HOST = "127.0.0.1"
_NUM_PORTS = 20
# A page of another site may have had its own name point here (DNS rebinding): its browser asks for that name's host.
_ANY_OTHER_NAME = rf"(?!({re.escape(HOST)}|localhost)$).*"


def start(predictor: Predictor, title: str, port: int) -> BaseServer:
    """Serve the page at http://127.0.0.1:<port>, or at the next port that is free; run its `io_loop` to answer.

    Raises:
        UserError: if no port is free, or this one is taken.
    """
    for name in ("bokeh", "tornado"):  # they report every page that is opened, and icons that browsers ask for
        logging.getLogger(name).setLevel(logging.ERROR)
    free = _first_free(port)
    origins = [f"{HOST}:{free}", f"localhost:{free}"]  # pages of other sites are not answered
    asyncio.set_event_loop(asyncio.new_event_loop())  # the one that the server takes
    page = Application(FunctionHandler(page_of(predictor, title)))
    answers = BokehTornado({"/": page}, extra_websocket_origins=origins)
    answers.add_handlers(_ANY_OTHER_NAME, [(".*", ErrorHandler, {"status_code": 403})])
    listener = HTTPServer(answers)
    listener.listen(free, HOST)
    server = BaseServer(IOLoop.current(), answers, listener)
    server.start()
    return server


def answer_until_stopped(server: BaseServer) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Raises:
        Interrupted: then.
    """
    loop: Any = server.io_loop
    received: list[int] = []

    def stop(signum: int, frame: FrameType | None) -> None:
        # An exception would vanish if the loop happened to be in one of its callbacks.
        received.append(signum)
        loop.asyncio_loop.call_soon_threadsafe(loop.stop)

    previous = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        loop.start()
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
        server.stop()
    raise Interrupted(received[0])


def _first_free(port: int) -> int:
    for candidate in range(port, min(port + _NUM_PORTS, 2**16)):
        try:
            socket.create_server((HOST, candidate)).close()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            raise UserError(
                f"port: cannot listen at {HOST}:{candidate} ({error.strerror}); name another one"
            ) from error
        return candidate
    raise UserError(f"port: none of {port} to {port + _NUM_PORTS - 1} is free; name another one")
