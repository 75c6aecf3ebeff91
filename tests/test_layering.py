"""The borders between the parts, as imports: this table is the architecture diagram."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import PROJECT

SOURCE = PROJECT / "src"

_HEAVY = {"torch", "lightning", "hydra", "omegaconf"}

# Part: what of ours it may import besides itself, and which libraries it must never see. The longest name that fits a
# module counts. A name stands for everything below it.
BORDERS: dict[str, tuple[set[str], set[str]]] = {
    # only: sweep
    "async_optuna": (set(), _HEAVY | {"torchvision"}),
    "async_optuna.hydra_app": ({"async_optuna"}, {"torch", "lightning", "torchvision"}),
    "hydra_plugins": ({"async_optuna"}, {"torch", "lightning", "torchvision"}),
    # end only
    "cnnlab.errors": (set(), _HEAVY),
    "cnnlab.overrides": (set(), _HEAVY),
    "cnnlab.notation": (set(), _HEAVY),
    "cnnlab.colours": (set(), _HEAVY),
    "cnnlab.direction": ({"cnnlab.errors"}, _HEAVY),
    "cnnlab.blocks": ({"cnnlab.errors"}, {"lightning", "hydra", "omegaconf", "torchvision"}),
    "cnnlab.models": ({"cnnlab.blocks", "cnnlab.errors"}, {"lightning", "hydra", "omegaconf"}),
    "cnnlab.data": ({"cnnlab.errors"}, {"hydra", "omegaconf", "torchmetrics", "optuna"}),
    "cnnlab.tasks": ({"cnnlab.errors", "cnnlab.optimization"}, {"hydra", "omegaconf", "torchvision"}),
    "cnnlab.classifier": ({"cnnlab.tasks"}, {"hydra", "omegaconf", "torchvision"}),
    "cnnlab.optimization": (
        {"cnnlab.schedules", "cnnlab.speed.torch_internals"},
        {"hydra", "omegaconf", "torchvision"},
    ),
    "cnnlab.schedules": ({"cnnlab.direction", "cnnlab.errors"}, {"hydra", "omegaconf", "torchvision"}),
    "cnnlab.speed": ({"cnnlab.errors"}, {"hydra", "omegaconf", "torchvision"}),
    "cnnlab.callbacks": (
        {
            "cnnlab.speed",
            "cnnlab.errors",
            "cnnlab.loggers",
            "cnnlab.notation",
            "cnnlab.colours",
            "cnnlab.tasks.epoch_totals",
        },
        {"hydra", "omegaconf", "optuna"},
    ),
    # only: zoo
    "cnnlab.callbacks.finetune": ({"cnnlab.blocks", "cnnlab.errors"}, {"hydra", "omegaconf", "optuna"}),
    # end only
    # only: sweep
    "cnnlab.trial_metrics": ({"cnnlab.errors", "async_optuna.trial"}, {"torch", "lightning", "optuna"}),
    "cnnlab.callbacks.trial_report": ({"cnnlab.errors", "async_optuna.trial"}, {"hydra", "omegaconf", "optuna"}),
    # end only
    "cnnlab.loggers": ({"cnnlab.errors"}, {"hydra", "omegaconf", "optuna"}),
    "cnnlab.runs": (
        {
            *("cnnlab.overrides", "cnnlab.errors", "cnnlab.callbacks", "cnnlab.data", "cnnlab.speed"),
            *("cnnlab.notation", "cnnlab.colours", "cnnlab.direction"),
        },
        {"matplotlib", "optuna"},
    ),
    "cnnlab.cli": (
        {
            *("cnnlab.overrides", "cnnlab.errors", "cnnlab.runs", "cnnlab.speed.threads"),
            *("cnnlab.notation", "cnnlab.colours", "cnnlab.direction"),
        },
        {"torch", "lightning"},
    ),
    # These put the parts together; they know neither the workbench nor the search engine.
    "cnnlab": ({"cnnlab"}, {"optuna", "matplotlib"}),
    # only: sweep or workbench
    "cnnlab.workbench": ({"cnnlab"}, set()),
    "cnnlab.workbench.canvas": ({"cnnlab.errors", "cnnlab.workbench.notation"}, _HEAVY),
    "cnnlab.workbench.notation": ({"cnnlab.errors", "cnnlab.notation"}, _HEAVY),
    "cnnlab.workbench.html_page": (set(), _HEAVY),
    # end only
    # only: workbench
    "cnnlab.workbench.prediction.digits": ({"cnnlab.errors"}, _HEAVY),
    "cnnlab.workbench.inspection": (
        {"cnnlab.blocks", "cnnlab.errors", "cnnlab.workbench.canvas", "cnnlab.workbench.notation"},
        {"lightning", "hydra", "omegaconf", "torchvision"},
    ),
    "cnnlab.workbench.inspection.range_test": ({"cnnlab"}, set()),
    "cnnlab.workbench.run_reports": (
        {
            "cnnlab.errors",
            "cnnlab.notation",
            "cnnlab.direction",
            "cnnlab.runs",
            "cnnlab.workbench.canvas",
            "cnnlab.workbench.html_page",
            "cnnlab.workbench.notation",
        },
        {"torch", "lightning", "hydra", "torchvision"},
    ),
    # end only
    # only: sweep
    "cnnlab.workbench.study_reports": (
        {
            *("cnnlab.errors", "cnnlab.runs", "cnnlab.workbench.canvas", "cnnlab.workbench.html_page"),
            *("cnnlab.workbench.notation", "async_optuna.database_url", "async_optuna.errors"),
            "async_optuna.passwords",
        },
        {"torch", "lightning", "hydra", "torchvision"},
    ),
    # end only
    # only: workbench
    "cnnlab.workbench.export": ({"cnnlab"}, {"lightning", "hydra", "omegaconf", "matplotlib"}),
    "cnnlab.workbench.demo": (
        {"cnnlab.errors", "cnnlab.workbench.prediction", "cnnlab.workbench.inspection", "cnnlab.workbench.canvas"},
        {"torch", "lightning", "hydra", "omegaconf"},
    ),
    # end only
}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def part_of(module: str) -> str:
    fits = [part for part in BORDERS if module == part or module.startswith(part + ".")]
    assert fits, f"{module} has no border"
    return max(fits, key=len)


def is_below(module: str, part: str) -> bool:
    return module == part or module.startswith(part + ".")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=module_of)
def test_imports_stay_within_the_borders(path: Path) -> None:
    module = module_of(path)
    part = part_of(module)
    allowed, forbidden = BORDERS[part]
    for name in imports(path):
        library = name.partition(".")[0]
        assert library not in forbidden, f"{module}: {part} must not know {library}"
        if (SOURCE / library).is_dir():
            assert any(is_below(name, known) for known in {*allowed, part}), f"{module}: {part} must not know {name}"
            # only: sweep or workbench
            # Nothing under src knows the workbench but its own modules.
            if is_below(name, "cnnlab.workbench"):
                assert is_below(module, "cnnlab.workbench"), f"{module} must not know the workbench"
            # end only


# only: sweep
@pytest.mark.parametrize("path", sorted((SOURCE / "hydra_plugins").rglob("*.py")), ids=module_of)
def test_what_hydra_imports_at_every_start_is_light(path: Path) -> None:
    for name in imports(path):
        library = name.partition(".")[0]
        known = {"hydra", "hydra_plugins", "omegaconf", "async_optuna"}
        assert library in known or library in sys.stdlib_module_names, name


# end only


def test_only_training_knows_every_part() -> None:
    """training.py names no concrete class of the zoo: the config does."""
    for name in imports(SOURCE / "cnnlab/training.py"):
        assert not name.startswith(("cnnlab.models", "cnnlab.loggers"))


def test_seven_files_of_500_lines_tell_how_a_command_becomes_a_gradient_step() -> None:
    """What a newcomer opens to follow a run; all that a batch passes on the way is counted in docs/architecture.md."""
    train_yaml = PROJECT / "conf/train.yaml"
    names = ("cli/command", "training", "tasks/task", "classifier", "optimization", "models/tinyvgg")
    way = ["train.py", *(f"src/cnnlab/{name}.py" for name in names)]
    defaults = dict(
        re.findall(
            r"^  - (model|data|classifier|optimizer|scheduler|trainer): (\w+)", train_yaml.read_text(), re.MULTILINE
        )
    )
    yaml = ["conf/train.yaml", *(f"conf/{group}/{choice}.yaml" for group, choice in defaults.items())]
    assert len(way) <= 7
    assert len(yaml) == 7
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
