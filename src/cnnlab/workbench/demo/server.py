"""A page served to this machine alone, and the answers that it asks for."""

import errno
import json
import os
import re
import socketserver
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from cnnlab.errors import UserError

HOST = "127.0.0.1"
_NUM_PORTS = 20
_LARGEST_REQUEST = 2**19  # bytes: twenty thousand points of a drawing
_SECONDS = 60.0  # for which a page waits for the network to be loaded before it asks again
# A page of another site may have had its own name point here (DNS rebinding): its browser asks for that name's host.
_THIS_MACHINE = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


class Answering(Protocol):
    """What is behind the page, see answers.Network."""

    def about(self) -> Mapping[str, Any]: ...

    def answer(self, drawing: Any) -> Mapping[str, Any]: ...


class DemoServer(ThreadingHTTPServer):
    """Serves the page at once, and answers from the moment that it has a network.

    Args:
        port: at 127.0.0.1; the next one that is free if another program uses it.

    Attributes:
        url: of the page.

    Raises:
        UserError: if no port is free, or this one cannot be used.
    """

    daemon_threads = True
    request_queue_size = 128  # connections that may wait: with the usual 5 a busy page's are refused
    allow_reuse_address = os.name != "nt"  # there it would let two programs share a port

    def __init__(self, port: int) -> None:
        for candidate in range(port, min(port + _NUM_PORTS, 2**16)):
            try:
                super().__init__((HOST, candidate), _Handler)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                raise UserError(
                    f"port: cannot listen at {HOST}:{candidate} ({error.strerror}); name another one"
                ) from error
            self.url = f"http://{HOST}:{candidate}"
            self.page = Path(__file__).with_name("page.html").read_bytes()
            self._network: Answering | None = None
            self._is_loaded = threading.Event()
            return
        raise UserError(f"port: none of {port} to {port + _NUM_PORTS - 1} is free; name another one")

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(
            self
        )  # HTTPServer's would also ask for this machine's name, which may take long
        self.server_name, self.server_port = HOST, self.server_address[1]

    def start(self) -> None:
        """Serve in a thread that ends with the process."""
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    def answer_with(self, network: Answering) -> None:
        self._network = network
        self._is_loaded.set()

    def network(self, seconds: float) -> Answering | None:
        """The network, once it is loaded; None if it is not within so many seconds."""
        self._is_loaded.wait(seconds)
        return self._network

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A window was closed while it was being answered: nobody is there to be told."""


class _Handler(BaseHTTPRequestHandler):
    server: DemoServer
    protocol_version = "HTTP/1.1"
    timeout = 120.0  # seconds, after which a silent window's connection is closed
    server_version, sys_version = "cnnlab", ""

    def do_GET(self) -> None:
        if not self._comes_from_this_machine():
            return
        if self.path == "/":
            self._send(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")
        elif self.path == "/network":
            network = self.server.network(_SECONDS)
            if network is None:
                self._send_json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "the network is still being loaded"})
            else:
                self._send_json(HTTPStatus.OK, network.about())
        else:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "there are / and /network"})

    def do_POST(self) -> None:
        if not self._comes_from_this_machine():
            return
        length = self.headers.get("Content-Length", "")
        is_number = length.isascii() and length.isdigit() and len(length) < 20  # Python refuses to read thousands
        if not is_number or int(length) > _LARGEST_REQUEST:
            self.close_connection = True
            error = f"expected a Content-Length of at most {_LARGEST_REQUEST} bytes"
            self._send_json(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": error})
            return
        content = self.rfile.read(int(length))
        network = self.server.network(_SECONDS)
        if self.path != "/answer":
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "there is /answer"})
        elif network is None:
            self._send_json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "the network is still being loaded"})
        else:
            try:
                self._send_json(HTTPStatus.OK, network.answer(json.loads(content)))
            except (UserError, ValueError, RecursionError) as error:
                self._send_json(HTTPStatus.BAD_REQUEST, {"error": str(error)})

    def _comes_from_this_machine(self) -> bool:
        """Refuse the pages of other sites, which a browser on this machine may have open."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if _THIS_MACHINE.fullmatch(host) and origin in (None, f"http://{host}"):
            return True
        self.close_connection = True
        self._send_json(HTTPStatus.FORBIDDEN, {"error": "this page is for this machine alone"})
        return False

    def _send_json(self, status: HTTPStatus, content: Mapping[str, Any]) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the terminal is not for every stroke."""
