"""torch's compiler is imported by those who compile, and nobody else notices that it is not there yet."""

import importlib
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from cnnlab.speed import lazy_compiler

TRAINS_WITHOUT_IT = """
import cnnlab, sys
import torch, lightning.pytorch
from lightning.pytorch.utilities.compile import OptimizedModule

torch.manual_seed(0)
net = torch.nn.Linear(2, 2)
optimizer = torch.optim.Adam(net.parameters())
optimizer.zero_grad()
net(torch.ones(1, 2)).sum().backward()
optimizer.step()
assert not isinstance(net, OptimizedModule)
assert not [module for module in [*sys.modules.values()] if getattr(module, "__warningregistry__", {}) is None]
assert not {"torch._dynamo.eval_frame", "sympy", "torch._inductor"} & sys.modules.keys()
"""
COMPILES = """
import torch._dynamo.config
assert torch._dynamo.config.__spec__.name == "torch._dynamo.config"
compiled = torch.compile(net, backend="eager")
assert isinstance(compiled, OptimizedModule)
assert isinstance(compiled, torch._dynamo.OptimizedModule)
assert torch._dynamo.OptimizedModule is sys.modules["torch._dynamo.eval_frame"].OptimizedModule
assert not isinstance(net, OptimizedModule)
torch.testing.assert_close(compiled(torch.ones(1, 2)), net(torch.ones(1, 2)))

@torch.compile(backend="eager")
def step(inputs):
    optimizer.zero_grad()
    loss = net(inputs).square().sum()
    loss.backward()
    optimizer.step()
    return loss.detach()

assert step(torch.ones(1, 2)) > step(torch.ones(1, 2))
"""


@pytest.mark.parametrize("then", ["", pytest.param(COMPILES, marks=pytest.mark.slow)], ids=["trained", "compiled"])
def test_training_does_without_it_and_compiling_imports_it(then: str) -> None:
    code = TRAINS_WITHOUT_IT + then
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_its_modules_are_imported_once_and_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_compiler").mkdir()
    (tmp_path / "a_compiler/__init__.py").write_text("from a_compiler import part\ngraph_break = part.Thing\n")
    (tmp_path / "a_compiler/part.py").write_text(
        "import a_compiler\nclass Thing: ...\nOWN = hasattr(a_compiler, 'x')\n"
    )
    monkeypatch.setattr(lazy_compiler, "_NAME", "a_compiler")
    monkeypatch.setattr(sys, "meta_path", [lazy_compiler.CompilerFinder(), *sys.meta_path])
    monkeypatch.syspath_prepend(str(tmp_path))
    package = importlib.import_module("a_compiler")
    assert package.graph_break() is None
    assert "a_compiler.part" not in sys.modules
    part = importlib.import_module("a_compiler.part")
    assert part is package.part is sys.modules["a_compiler.part"]
    assert package.graph_break is part.Thing
    for module in (package, part):
        assert module.__spec__ is not None
        assert module.__spec__.name == module.__name__
        assert isinstance(module.__spec__.loader, SourceFileLoader)
    assert type(package) is ModuleType
    for name in ("a_compiler", "a_compiler.part"):
        monkeypatch.delitem(sys.modules, name)
