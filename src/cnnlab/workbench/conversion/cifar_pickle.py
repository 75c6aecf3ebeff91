"""Reads the pickled batches of CIFAR-10 and CIFAR-100 without running code that a pickle may name."""

import io
import math
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.errors import UserError
from cnnlab.workbench.conversion.samples import Array, Found, split_called

# What a pickle of arrays and plain containers names. Everything else could run code of a stranger.
_HARMLESS = {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
_HARMLESS |= {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
}
_SHAPE = (3, 32, 32)
_NAMES = ("label_names", "fine_label_names")
_LABELS = ("labels", "fine_labels")


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _HARMLESS:
            raise UserError(f"it names {module}.{name}, which could run code, so it is not read")
        return super().find_class(module, name)


def read(paths: Iterable[Path]) -> dict[str, Found]:
    """The samples of data_batch_1 to 5 and test_batch, or of CIFAR-100's train and test, with their classes' names.

    Raises:
        UserError: for a pickle of anything else, without running it.
    """
    parts: dict[str, list[tuple[Array, Array]]] = {}
    names: tuple[str, ...] | None = None
    for path in paths:
        content = _unpickled(path)
        if "data" not in content:
            names = next((tuple(map(str, content[key])) for key in _NAMES if key in content), names)
            continue
        labels = next((content[key] for key in _LABELS if key in content), None)
        if labels is None:
            raise UserError(f"{path} holds {', '.join(content)}; expected data and labels, as CIFAR-10's batches do")
        try:
            batch = np.asarray(content["data"], np.uint8).reshape(-1, *_SHAPE), np.asarray(labels)
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: expected rows of {math.prod(_SHAPE):,} bytes as data ({error})") from error
        parts.setdefault(split_called(path.name) or "train", []).append(batch)
    found = {}
    for split, batches in parts.items():
        x, y = (np.concatenate(several) for several in zip(*batches, strict=True))
        found[split] = Found(x, y, names)
    return found


def is_pickle(path: Path) -> bool:
    """Whether a file begins as a pickle does, and its name has no other meaning."""
    if path.suffix not in ("", ".meta", ".pkl", ".pickle") or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(1) == b"\x80"


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        content = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # a damaged pickle raises any kind of error
        raise UserError(f"{path} cannot be read as a pickle ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}; expected a dict with data and labels")
    return {
        _text(key): [_text(one) for one in value] if _text(key) in _NAMES else value for key, value in content.items()
    }


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
