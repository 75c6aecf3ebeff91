"""A PostgreSQL of one's own: in a folder that is deleted at the end, on a free port, without passwords unless given."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAMS = "/usr/lib/postgresql"  # where Debian's package puts them


def driver() -> str | None:
    """The installed driver's name."""
    return next((name for name in ("psycopg", "psycopg2") if importlib.util.find_spec(name)), None)


def what_is_missing() -> str:
    """What must be installed first, "" if nothing."""
    if not sorted(Path(_PROGRAMS).glob("*/bin/pg_ctl")):
        return "PostgreSQL"
    return "" if driver() else "a driver such as psycopg"


class Server:
    """PostgreSQL with a folder of its own, which root must not run himself.

    Attributes:
        port: where it listens, on the loopback interface only.
        url: of its database, for hydra.sweeper.storage; without the password.
    """

    def __init__(self, folder: Path, max_connections: int) -> None:
        self._programs = sorted(Path(_PROGRAMS).glob("*/bin/pg_ctl"))[-1].parent
        self._folder = folder
        self._user = "postgres" if os.geteuid() == 0 else None
        self._max_connections = max_connections
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"postgresql+{driver()}://postgres@127.0.0.1:{self.port}/postgres"

    def call(self, *arguments: str, program: str = "pg_ctl") -> None:
        subprocess.run(
            [str(self._programs / program), "-D", str(self._folder / "data"), *arguments],
            user=self._user,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        options += f" -c fsync=off -c max_connections={self._max_connections}"
        self.call("-w", "-l", str(self._folder / "log"), "-o", options, "start")


@contextmanager
def running_server(max_connections: int = 100, password: str = "") -> Iterator[Server]:
    """Start a server, and stop it at the end; needs what `what_is_missing` asks for.

    Args:
        password: of its user postgres; "" for none, then everybody on this machine gets in.
    """
    with tempfile.TemporaryDirectory(prefix="postgresql_", ignore_cleanup_errors=True) as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        server = Server(Path(folder), max_connections)
        secret = Path(folder) / "password"
        secret.write_text(password, encoding="utf-8")
        secret.chmod(0o644)  # the folder is closed to others, and it is gone before the server starts
        entrance = ["-A", "scram-sha-256", f"--pwfile={secret}"] if password else ["-A", "trust"]
        server.call(*entrance, "-U", "postgres", program="initdb")
        secret.unlink()
        server.start()
        try:
            yield server
        finally:
            server.call("stop", "-m", "immediate")
