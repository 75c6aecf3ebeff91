"""Put the weights of a finished run into the package, for run=pretrained:NAME: python scripts/ship_weights.py RUN NAME

    python scripts/ship_weights.py outputs/runs/<run> tinyvgg

Writes src/cnnlab/weights/NAME.safetensors and NAME.yaml, which holds what the run folder says of the training: config,
scores, environment, data. The same run gives the same bytes. Where NAME is the name of a network (tinyvgg),
model.weights=pretrained begins with these weights. Refused are runs without a test, more than 1.5 MB, and NaN.
"""

import argparse
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import yaml

from cnnlab.cli import console
from cnnlab.errors import UserError

if TYPE_CHECKING:
    from cnnlab.saved_run import SavedModel

LARGEST = 1_500_000  # bytes
LICENCE = "The weights: MIT, as this project. They were trained on {data}."
DATA_LICENCES = {"mnist": "MNIST (Y. LeCun, C. Cortes, C. Burges), CC BY-SA 3.0"}
HEADER = "# Made by scripts/ship_weights.py with the weights beside it; the run folder is made of both.\n"
TABLES = ("evaluation/test/confusion_counts.csv", "evaluation/test/per_class_accuracy.csv")
# Keys that belong to the machine of the training.
OF_THE_MACHINE = ("data.root", "resume", "init_from")


class Readable(yaml.SafeDumper):
    """Writes text of several lines as such."""


Readable.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


@console.script()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run folder, or latest")
    parser.add_argument("name", help="behind pretrained:, in lower-case letters, digits and _")
    arguments = parser.parse_args()
    print(ship(arguments.run, arguments.name))


def ship(run: str | Path, name: str, folder: Path | None = None) -> str:
    """Write the two files and return what to print.

    Args:
        folder: where to; None: into the package.

    Raises:
        UserError: if the run is not finished and tested, or its weights are too large or not finite.
    """
    from safetensors.torch import save

    from cnnlab.runs import shipped
    from cnnlab.runs.atomic import write_atomically
    from cnnlab.runs.commands import short_path
    from cnnlab.saved_run import load_model

    if not re.fullmatch("[a-z0-9_]+", name):
        raise UserError(f"the name must be lower-case letters, digits and _, got {name!r}")
    saved = load_model(run)
    record = describe(saved)
    state = {key: value.contiguous().clone() for key, value in saved.model.state_dict().items()}
    if bad := [key for key, value in state.items() if not value.isfinite().all()]:
        raise UserError(f"{short_path(saved.folder)} holds NaN or infinity, in {bad[0]}; its training went wrong")
    weights: bytes = save(state)
    if len(weights) > LARGEST:
        raise UserError(
            f"the weights have {len(weights) / 1e6:.1f} MB, and at most {LARGEST / 1e6} MB ship with the package"
        )
    record = {"name": name, "sha256": hashlib.sha256(weights).hexdigest(), **record}
    content = HEADER + yaml.dump(record, Dumper=Readable, sort_keys=False, default_flow_style=None, width=120)
    files = {shipped.weights_file(name, folder): weights, shipped.record_file(name, folder): content.encode()}
    for path, part in files.items():
        write_atomically(path, part)
    return "\n".join(f"{short_path(path)}  {len(part):,} bytes" for path, part in files.items())


def describe(saved: "SavedModel") -> dict[str, Any]:
    """What the record says beside name and checksum.

    Raises:
        UserError: if the run is not finished and tested, or its config names places of this machine.
    """
    from omegaconf import OmegaConf

    from cnnlab.overrides import as_typed, parsed
    from cnnlab.runs import shipped
    from cnnlab.runs.chosen_names import chosen_names
    from cnnlab.runs.commands import short_path
    from cnnlab.runs.json_files import read_json
    from cnnlab.runs.locks import is_held
    from cnnlab.runs.run_folder import load_config

    folder = saved.folder
    metrics, environment = (read_json(folder / f"{file}.json") for file in ("metrics", "environment"))
    if is_held(folder) or not any(key.startswith("test/") for key in metrics):
        raise UserError(f"{short_path(folder)} is not finished and tested (no test scores in metrics.json)")
    config = load_config(folder)
    for key in OF_THE_MACHINE:
        if OmegaConf.select(config, key) is not None:
            OmegaConf.update(config, key, None)
    plain = OmegaConf.to_container(config)
    if places := [f"{key}={value}" for key, value in leaves(plain) if is_absolute(value)]:
        raise UserError(f"the run's config names a place of this machine: {', '.join(places)}")
    typed = as_typed(yaml.safe_load((folder / ".hydra/overrides.yaml").read_text(encoding="utf-8")) or [])
    typed = [word for word in typed if not parsed([word]).keys() & set(OF_THE_MACHINE)]
    environment["command"] = " ".join(["python train.py", *typed])
    environment.pop("platform", None)
    choices = {group: name for group, name in chosen_names(folder).items() if not group.startswith("hydra/")}
    files: dict[str, Any] = {
        shipped.CONFIG: plain,
        ".hydra/overrides.yaml": typed,
        ".hydra/hydra.yaml": {"hydra": {"runtime": {"choices": choices}}},
        "metrics.json": metrics,
        "environment.json": environment,
    }
    files |= {file: (folder / file).read_text(encoding="utf-8") for file in TABLES if (folder / file).is_file()}
    dataset = saved.data["dataset"]
    licence = LICENCE.format(data=DATA_LICENCES.get(dataset, dataset))
    return {"licence": licence, "command": environment["command"], "data": saved.data, "files": files}


def leaves(content: Any, key: str = "") -> list[tuple[str, Any]]:
    """Each value of nested containers with its dotted key."""
    if isinstance(content, Mapping):
        return [leaf for name, value in content.items() for leaf in leaves(value, f"{key}.{name}" if key else name)]
    if isinstance(content, list):
        return [leaf for number, value in enumerate(content) for leaf in leaves(value, f"{key}.{number}")]
    return [(key, content)]


def is_absolute(value: Any) -> bool:
    return isinstance(value, str) and (PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute())


if __name__ == "__main__":
    main()
