"""Downloads a torchvision data set. Without a network it fails within seconds; half a download never counts as data."""

import contextlib
import io
import os
import socket
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 20.0


class DownloadFailed(Exception):
    """No mirror could be reached, or none delivered the right files."""


def fetch(
    mirrors: Sequence[str],
    download: Callable[[Path], Path],
    target: Path,
    leftovers: tuple[str, ...] = (".gz", ".zip"),
) -> None:
    """Run a torchvision download in a temporary folder, then move its finished files to `target`.

    Args:
        mirrors: addresses, one of which has to answer before the download starts.
        download: downloads below the folder it is given, checks what it got, and returns where the files lie.
        target: the folder for the files, each moved there in one step; it is made if it does not exist.
        leftovers: endings of files that are not moved, of archives that were unpacked.

    Raises:
        DownloadFailed: with the reason in one line.
    """
    problems = [_unreachable(mirror) for mirror in mirrors]
    if all(problems):
        raise DownloadFailed("; ".join(problem for problem in problems if problem))
    try:
        target.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix=".download-", dir=target) as temporary,
            _socket_timeout(SILENCE_SECONDS),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            folder = download(Path(temporary))
            for file in folder.iterdir():
                if file.is_file() and file.suffix not in leftovers:
                    os.replace(file, target / file.name)
    except (RuntimeError, OSError, EOFError, HTTPException) as error:
        raise DownloadFailed(" ".join(str(error).split())) from error


def _unreachable(url: str) -> str | None:
    """Return None if the address answers, with any status, within CONNECT_SECONDS, else the reason.

    It runs in a thread, because resolving a host name has no timeout of its own.
    """
    outcome: list[str | None] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=CONNECT_SECONDS).close()
            outcome.append(None)
        except urllib.error.HTTPError as answer:
            answer.close()
            outcome.append(None)
        except (OSError, HTTPException) as error:
            outcome.append(f"{url}: {getattr(error, 'reason', error)}")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS + 1)
    return outcome[0] if outcome else f"{url}: no answer in {CONNECT_SECONDS:.0f} s"


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)
