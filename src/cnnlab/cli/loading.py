"""Says which large library a command is loading, until the command has something else to say."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TextIO

# The libraries that take long, and what they are called.
_LARGE = {
    "torch": "PyTorch",
    "lightning": "Lightning",
    "pandas": "pandas",
    "matplotlib": "Matplotlib",
    "optuna": "Optuna",
}


class Announcement(MetaPathFinder):
    """A line on a terminal that appears when Python begins to import a large library and goes before the next output.

    Python asks every finder on sys.meta_path where a module is. This one knows no module and only listens. Where the
    stream is no terminal it does nothing, so no log and no pipe contains the line.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream if stream is not None and stream.isatty() else None
        self._write = self._stream.write if self._stream else None
        self._shown = ""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the block runs."""
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            self.clear()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in _LARGE:
            self.show(_LARGE[fullname])
        return None

    def show(self, name: str) -> None:
        """Write the line, in place of an earlier one."""
        self.clear()
        self._put(f"loading {name} …")

    def clear(self) -> None:
        """Overwrite the line with spaces, which every terminal understands."""
        if self._shown:
            self._put(f"\r{' ' * len(self._shown)}\r")
            self._shown = ""

    def _put(self, text: str) -> None:
        if self._stream and self._write:
            self._write(text)
            self._stream.flush()
            self._shown = text
