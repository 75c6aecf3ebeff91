"""Reads and writes the JSON files of a run folder."""

import json
from pathlib import Path
from typing import Any

from cnnlab.runs.atomic import write_atomically


def write_json(path: Path, content: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file, {} if there is none."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def noun_of(run_dir: Path) -> str:
    """What a run's samples are called, see DataModule.noun. Earlier versions did not write it down: images."""
    try:
        return str(read_json(run_dir / "environment.json").get("samples", "images"))
    except ValueError:  # a damaged file is no reason to say nothing at all
        return "samples"
