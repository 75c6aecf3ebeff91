"""The workbench uses no private name of another library outside the one module that is named for the library."""

import ast
from pathlib import Path

import pytest

from cnnlab.workbench.inspection.torch_internals import TorchDispatchMode
from conftest import PROJECT

WORKBENCH = PROJECT / "src/cnnlab/workbench"


def test_torch_has_a_mode_that_sees_each_operation() -> None:
    assert hasattr(TorchDispatchMode, "__torch_dispatch__"), "without it inspect_model cannot follow a network's work"


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(WORKBENCH.rglob("*.py")) if path.name != "torch_internals.py"],
    ids=lambda path: path.relative_to(WORKBENCH).as_posix(),
)
def test_no_other_module_touches_one(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("cnnlab"):
            assert not any(map(is_private, [*(node.module or "").split("."), *(alias.name for alias in node.names)]))
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            own = ast.unparse(node.value).split(".")[0] in ("self", "other") or node.attr in ("_asdict", "_replace")
            assert own, f"line {node.lineno}: {ast.unparse(node)}"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_")  # Hydra's _target_ is public
