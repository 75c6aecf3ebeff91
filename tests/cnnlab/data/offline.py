"""For the tests of this folder: IDX files of random images, a web server on this machine, and no other network."""

import gzip
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from cnnlab.data import idx_datamodule
from cnnlab.data.files.locations import cache_dir

CLOSED_PORT = "http://127.0.0.1:9"


def isolate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hide the data and the network of this machine; return the cache folder, which does not exist yet."""
    monkeypatch.delenv("CNNLAB_DATA_DIR", raising=False)
    monkeypatch.setattr(idx_datamodule, "INSTALLED", tmp_path / "datasets")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):  # Linux, Windows, macOS
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, CLOSED_PORT)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return cache_dir()


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}i", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def idx_set(
    num_training: int,
    num_test: int,
    prefixes: tuple[str, str] = ("train", "t10k"),
    num_classes: int = 10,
    first_label: int = 0,
) -> dict[str, np.ndarray]:
    """The contents of a data set's four files by name; every class appears equally often, in no order."""
    rng = np.random.default_rng(0)
    arrays = {}
    for prefix, size in zip(prefixes, (num_training, num_test), strict=True):
        arrays[f"{prefix}-images-idx3-ubyte"] = rng.integers(0, 256, (size, 28, 28), dtype=np.uint8)
        labels = rng.permutation(np.arange(size) % num_classes) + first_label
        arrays[f"{prefix}-labels-idx1-ubyte"] = labels.astype(np.uint8)
    return arrays


def write(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        (folder / name).write_bytes(idx_bytes(array))


def gzipped(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(idx_bytes(array), 1, mtime=0) for name, array in arrays.items()}


class _Server(ThreadingHTTPServer):
    files: dict[str, bytes]
    fault: str
    requests: list[str]
    released: threading.Event


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        content = self.server.files.get(self.path.lstrip("/"))
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        if self.server.fault == "broken chunk":
            self.send_header("Transfer-Encoding", "chunked")
            content = b"ffff\r\n" + content[:100]
        else:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not with_body:
            return
        if self.server.fault in ("cut", "stall"):
            content = content[: len(content) // 2]
        self.wfile.write(content)
        if self.server.fault == "stall":
            self.wfile.flush()
            self.server.released.wait(10)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def serving(files: dict[str, bytes], fault: str = "") -> Iterator[tuple[str, list[str]]]:
    """Serve files; yield the address and a growing list of what was asked for.

    Args:
        fault: "cut" ends every file in the middle, "stall" falls silent there, "broken chunk" announces more than
            it sends in a chunked answer.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    server.files, server.fault, server.requests, server.released = files, fault, [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", server.requests
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
