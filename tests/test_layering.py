"""The borders between the parts, as imports: this table is the architecture diagram."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import PROJECT

SOURCE = PROJECT / "src/cnnlab"
PLUGINS = PROJECT / "src/hydra_plugins"

# Part: what of this package it may import, and which libraries it must never see. Everything may use `errors`.
BORDERS: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), {"torch", "lightning", "hydra", "omegaconf"}),
    "atomic": (set(), {"torch", "lightning", "hydra", "omegaconf"}),
    "notation": (set(), {"torch", "lightning", "hydra", "omegaconf"}),
    "locks": (set(), {"torch", "lightning", "hydra", "omegaconf"}),
    "direction": (set(), {"torch", "lightning", "hydra", "omegaconf"}),
    "arguments": (set(), {"torch", "lightning", "hydra", "omegaconf"}),
    "blocks": ({"blocks"}, {"lightning", "hydra", "omegaconf", "torchvision"}),
    "models": ({"blocks"}, {"lightning", "hydra", "omegaconf"}),
    "imaging": (set(), {"torch", "lightning", "hydra", "omegaconf"}),
    "data": ({"data", "imaging"}, {"hydra", "omegaconf", "torchmetrics", "optuna"}),
    "schedules": ({"direction"}, {"hydra", "omegaconf", "torchvision"}),
    "optimization": ({"schedules"}, {"hydra", "omegaconf", "torchvision"}),
    "classifier": ({"optimization"}, {"hydra", "omegaconf", "torchvision"}),
    "callbacks": ({"callbacks", "timing", "sweep", "threads"}, {"hydra", "omegaconf", "optuna"}),
    "timing": ({"timing"}, {"hydra", "omegaconf", "torchvision"}),
    "hooks": (set(), {"torch", "hydra", "omegaconf"}),
    "fast": ({"fast", "timing"}, {"hydra", "omegaconf", "torchvision"}),
    "loggers": (set(), {"hydra", "omegaconf", "optuna"}),
    "lazy_help": (set(), {"torch", "lightning", "omegaconf"}),
    "console": (set(), {"torch", "lightning", "hydra", "omegaconf"}),
    "cli": (
        {"arguments", "console", "lazy_help", "config_errors", "jobs", "resuming", "run_folder", "signals"},
        {"torch", "lightning"},
    ),
    "signals": (set(), {"torch", "lightning", "hydra"}),
    "config_errors": (set(), {"torch", "lightning"}),
    "sweep": (
        {"sweep", "atomic", "commands", "locks", "threads"},
        {"torch", "lightning", "hydra", "omegaconf", "torchvision"},
    ),
    "commands": (set(), {"torch", "lightning", "hydra", "omegaconf"}),
    "resuming": ({"arguments", "atomic", "commands", "run_folder", "trust"}, {"torch", "lightning"}),
    "trust": (set(), {"torch", "lightning"}),  # it names their classes, and imports them when it has to look
    "jobs": ({"commands", "run_folder"}, {"torch", "lightning"}),
    "run_folder": ({"arguments", "commands", "locks"}, {"torch", "lightning"}),
    "threads": (set(), {"torch", "lightning", "hydra", "omegaconf"}),
    "allocator": (set(), {"torch", "lightning", "hydra", "omegaconf"}),
    "hardware": ({"allocator"}, {"lightning", "hydra", "omegaconf"}),
    "inspection": ({"blocks"}, {"lightning", "hydra", "omegaconf", "torchvision", "matplotlib"}),
    "activations": (set(), {"lightning", "hydra", "omegaconf", "torchvision", "matplotlib"}),
    "digits": ({"digits"}, {"torch", "lightning", "hydra", "omegaconf"}),
    "cross_correlation": (set(), {"lightning", "hydra", "omegaconf", "torchvision", "matplotlib"}),
    "drawings": (
        {"drawings", "notation", "inspection", "activations", "cross_correlation"},
        {"torch", "lightning", "hydra", "omegaconf"},
    ),
    "export": ({"export", "data", "saved_run", "training"}, {"lightning", "hydra", "omegaconf", "matplotlib"}),
    "demo": ({"demo", "drawings", "prediction"}, {"torch", "lightning", "hydra", "omegaconf"}),
    "reports": (
        {"reports", "drawings", "notation", "atomic", "locks", "commands", "direction"},
        {"torch", "lightning", "hydra", "torchvision"},
    ),
}
# What puts the parts together.
WITHOUT_BORDER = {"__init__", "training", "trainer", "preflight", "run_record", "instantiation", "checkpoint_io"}
WITHOUT_BORDER |= {
    "quiet",
    "single_process",
    "saved_run",
    "notebook",
    "failures",
    "evaluation",
    "prediction",
    "benchmark",
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_stay_within_the_borders(path: Path) -> None:
    part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if part not in BORDERS:
        assert part in WITHOUT_BORDER, f"{part} has no border"
        return
    allowed, forbidden = BORDERS[part]
    for name in imports(path):
        library, _, rest = name.partition(".")
        if library != "cnnlab":
            assert library not in forbidden, f"{part} must not know {library}"
            continue
        used = rest.split(".")[0]
        assert used in {*allowed, "errors"}, f"{part} must not know {used}"


@pytest.mark.parametrize("path", sorted(PLUGINS.rglob("*.py")), ids=lambda path: str(path.relative_to(PLUGINS)))
def test_the_sweeper_knows_the_engine_but_no_network(path: Path) -> None:
    """It serves any Hydra app, and Hydra imports most of it at every start."""
    for name in imports(path):
        library, _, rest = name.partition(".")
        if library == "cnnlab":
            assert rest.split(".")[0] in {"errors", "arguments", "commands", "direction", "sweep"}, name
        else:
            known = {"hydra", "hydra_plugins", "omegaconf", "optuna"}
            assert library in known or library in sys.stdlib_module_names, name


def test_only_training_knows_every_part() -> None:
    """training.py names no concrete class of the zoo: the config does."""
    for name in imports(SOURCE / "training.py"):
        assert not name.startswith(("cnnlab.models", "cnnlab.loggers"))


def test_from_the_doorbell_to_the_gradient_step_in_seven_files_and_500_lines() -> None:
    train_yaml = PROJECT / "conf/train.yaml"
    way = ["train.py", *(f"src/cnnlab/{name}.py" for name in ("cli", "training", "classifier", "optimization"))]
    way += ["src/cnnlab/models/tinyvgg.py", "src/cnnlab/blocks/conv_block.py"]
    defaults = dict(
        re.findall(r"^  - (model|data|optimizer|scheduler|trainer): (\w+)", train_yaml.read_text(), re.MULTILINE)
    )
    yaml = ["conf/train.yaml", *(f"conf/{group}/{choice}.yaml" for group, choice in defaults.items())]
    assert len(way) <= 7
    assert len(yaml) == 6
    code = sum(lines_of_code(PROJECT / name) for name in way + yaml)
    assert code <= 500, code


def lines_of_code(path: Path) -> int:
    """Lines that are neither blank, comment nor docstring."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    count = sum(bool(line) and not line.startswith("#") for line in lines)
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                docstring = node.body[0]
                assert docstring.end_lineno is not None
                count -= sum(map(bool, lines[docstring.lineno - 1 : docstring.end_lineno]))
    return count
