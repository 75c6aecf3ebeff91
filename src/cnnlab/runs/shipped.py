"""The trained weights that ship with this package, and the run folders that are made of them: `run=pretrained:tinyvgg`.

Of each there are two files in cnnlab/weights: the weights, and a record with the files of the run folder and what the
checkpoint says of the data. scripts/ship_weights.py writes both.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cnnlab.errors import UserError, did_you_mean
from cnnlab.overrides import PRETRAINED
from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.commands import short_path
from cnnlab.runs.locks import in_turn

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).resolve().parents[1] / "weights"
UNPACKED = Path("outputs/pretrained")
CONFIG = ".hydra/config.yaml"
RECORD = "pretrained.yaml"  # in the run folder, the record that it was made of

_NEEDED = {"sha256": str, "data": dict, "files": dict}


def is_shipped(run: str | Path) -> bool:
    """Whether this is pretrained:tinyvgg, or the folder that was made of weights that ship with the package."""
    return is_named(run) or (Path(run) / RECORD).is_file()


def is_named(run: str | Path) -> bool:
    """Whether this names weights that ship with the package, as in pretrained:tinyvgg."""
    return str(run).startswith(PRETRAINED)


def names() -> list[str]:
    """The names behind `pretrained:`."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def weights_file(name: str, folder: Path | None = None) -> Path:
    return (folder or FOLDER) / f"{name}.safetensors"


def record_file(name: str, folder: Path | None = None) -> Path:
    return (folder or FOLDER) / f"{name}.yaml"


def read_record(name: str) -> dict[str, Any]:
    """Read the record of the weights of that name.

    Raises:
        UserError: if there are none, with the names that there are, or if the record is damaged.
    """
    if name not in names():
        raise UserError(
            f"{PRETRAINED}{name}: no such weights ship with this package, only {', '.join(names()) or 'none at all'}"
            f"{did_you_mean(name, names())}"
        )
    try:
        record = yaml.safe_load(record_file(name).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _damaged(record_file(name), " ".join(str(error).split())) from error
    for key, kind in _NEEDED.items():
        if not isinstance(record, dict) or not isinstance(record.get(key), kind):
            raise _damaged(record_file(name), f"it has no {key}")
    return dict(record)


def read_weights(name: str, record: Mapping[str, Any]) -> dict[str, "Tensor"]:
    """Read the weights by their names in the network, float32.

    Raises:
        UserError: if they are not those of the record.
    """
    from safetensors.torch import load

    path = weights_file(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    found = hashlib.sha256(content).hexdigest()
    if found != record["sha256"]:
        raise _damaged(path, f"expected the SHA-256 {record['sha256'][:12]}…, got {found[:12]}…")
    return dict(load(content))


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"{path} is damaged: {why}; install the package again, or git checkout this file")


def unpacked(run: str | Path) -> Path:
    """Return the run folder outputs/pretrained/<name>, made anew if these are not the weights it was made of.

    Several processes may ask for it at once, and a kill leaves either no folder or a whole one.

    Raises:
        UserError: for an unknown name or damaged weights, and if the folder cannot be written or holds something else.
    """
    name = str(run).removeprefix(PRETRAINED)
    record = read_record(name)
    folder = UNPACKED.absolute() / name
    if _is_made_of(folder, name):
        return folder
    try:
        UNPACKED.mkdir(parents=True, exist_ok=True)
        with in_turn(UNPACKED):
            if not _is_made_of(folder, name):
                _make(folder, name, record)
    except OSError as error:
        raise UserError(
            f"{PRETRAINED}{name} is unpacked to {folder}, which cannot be written ({error.strerror or error}); start "
            "the command in a folder where it can"
        ) from error
    return folder


def _is_made_of(folder: Path, name: str) -> bool:
    """Whether a run folder was made of the weights that ship now, and is whole."""
    whole = all((folder / file).is_file() for file in (CONFIG, "checkpoints/best.ckpt", RECORD))
    return whole and (folder / RECORD).read_bytes() == record_file(name).read_bytes()


def _make(folder: Path, name: str, record: Mapping[str, Any]) -> None:
    """Write a run folder beside its place and put it there in one step."""
    if folder.exists() and not (folder / RECORD).is_file():
        raise UserError(
            f"{PRETRAINED}{name} is unpacked to {short_path(folder)}, which holds something else (it has no {RECORD}); "
            "move it away"
        )
    state = read_weights(name, record)
    for left_behind in folder.parent.glob(f".{name}.*"):  # by a process that was killed
        shutil.rmtree(left_behind, ignore_errors=True)
    new, old = (folder.with_name(f".{name}.{os.getpid()}.{word}") for word in ("new", "old"))
    try:
        _write(new, name, record, state)
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    finally:
        for temporary in (new, old):
            shutil.rmtree(temporary, ignore_errors=True)


def _write(folder: Path, name: str, record: Mapping[str, Any], state: Mapping[str, "Tensor"]) -> None:
    import torch

    for file, content in record["files"].items():
        write_atomically(folder / file, as_text(file, content).encode())
    buffer = io.BytesIO()
    torch.save({"state_dict": {f"model.{key}": value for key, value in state.items()}, "data": record["data"]}, buffer)
    with buffer.getbuffer() as content:
        write_atomically(folder / "checkpoints" / "best.ckpt", content)
    write_atomically(folder / RECORD, record_file(name).read_bytes())


def as_text(file: str, content: Any) -> str:
    """The text of one of a run folder's files, from its content in the record."""
    if file.endswith(".yaml"):
        return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    if file.endswith(".json"):
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return str(content)
