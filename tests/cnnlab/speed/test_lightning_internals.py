"""The installed Lightning has every private name that is used, and they are used in one module only."""

import ast
from pathlib import Path

import pytest

from cnnlab.speed import lightning_internals
from cnnlab.speed.lightning_internals import EVERY_RUN, FAST_LOOP, Names, missing
from conftest import PROJECT

PACKAGE = PROJECT / "src/cnnlab"
# Modules that are named for a library, and one that another library's names stand in until it has one of its own.
NAMED_FOR_A_LIBRARY = {"speed/lightning_internals.py", "speed/torch_internals.py"}


@pytest.mark.parametrize("names", [FAST_LOOP, EVERY_RUN], ids=["trainer.fast_loop", "every run"])
def test_lightning_has_what_is_used(names: Names) -> None:
    assert missing(names) is None


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ({("lightning.pytorch", "Trainer"): ["fit", "_gone"]}, "has no Trainer._gone"),
        ({("lightning.pytorch.loops.training_epoch_loop", "_GoneLoop"): []}, "has no _GoneLoop"),
    ],
)
def test_what_is_gone_is_named(names: Names, sentence: str) -> None:
    assert str(missing(names)).endswith(sentence)


def test_every_private_name_in_the_module_stands_in_a_table() -> None:
    tree = ast.parse(Path(str(lightning_internals.__file__)).read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_private(node.attr)}
    listed = {name for names in (FAST_LOOP, EVERY_RUN) for names in names.values() for name in names}
    assert used <= listed | {"_val_check_time_interval"}  # which is asked for with a substitute


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).as_posix() not in NAMED_FOR_A_LIBRARY and "workbench" not in path.parts
    ],
    ids=lambda path: path.relative_to(PACKAGE).as_posix(),
)
def test_no_other_module_imports_a_private_name_or_reaches_into_another_librarys_object(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("lightning", "torch")
        for alias in node.names
    ]
    assert [name for name in imported if is_private(name)] == []
    listed = {name for names in (FAST_LOOP, EVERY_RUN) for names in names.values() for name in names}
    private = {name for name in listed if is_private(name)} | {"_sleep", "_step_supports_amp_scaling"}
    assert private & {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} == set()


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
