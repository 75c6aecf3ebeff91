"""The folders in which data files are searched and to which they are downloaded."""

import os
import sys
from pathlib import Path

ENVIRONMENT_VARIABLE = "CNNLAB_DATA_DIR"


def cache_dir() -> Path:
    """Return the user's cache folder for this package, by each system's convention; it need not exist yet."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "cnnlab"


def data_dirs(root: str | None) -> list[Path]:
    """Return folders to read from, first to last; a download goes to the last.

    `root` beats the environment variable CNNLAB_DATA_DIR, which beats the cache folder. A folder that cannot be
    written is only read, and the cache folder stands behind it.
    """
    chosen = root or os.environ.get(ENVIRONMENT_VARIABLE)
    if not chosen:
        return [cache_dir()]
    folder = Path(chosen).expanduser().absolute()
    return [folder] if _is_writable(folder) else [folder, cache_dir()]


def _is_writable(folder: Path) -> bool:
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
    return existing.is_dir() and os.access(existing, os.W_OK)
