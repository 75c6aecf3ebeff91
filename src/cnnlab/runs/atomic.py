"""Writes files such that a crash leaves the old or the new content, never a mixture."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Replace `path` by `content` such that a kill or power cut leaves either the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
