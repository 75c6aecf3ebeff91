"""torch's compiler is imported by those who compile, and nobody else notices that it is not there yet."""

import subprocess
import sys

TRAINS_WITHOUT_IT = """
import cnnlab, sys
import torch, lightning.pytorch
from lightning.pytorch.utilities.compile import OptimizedModule

net = torch.nn.Linear(2, 2)
optimizer = torch.optim.Adam(net.parameters())
optimizer.zero_grad()
net(torch.ones(1, 2)).sum().backward()
optimizer.step()
assert not isinstance(net, OptimizedModule)
assert not {"torch._dynamo.eval_frame", "sympy", "torch._inductor"} & sys.modules.keys()
"""
COMPILES = """
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
IMPORTED_FIRST = """
import cnnlab, sys
import torch, torch._dynamo
import {module} as module
assert module is sys.modules["{module}"] is torch._dynamo.{name}
assert module.__spec__.loader.get_source("{module}") and module.__spec__.name == "{module}"
assert torch._dynamo.__spec__.loader.get_source("torch._dynamo") and type(torch._dynamo) is type(sys)
assert torch._dynamo.exc.Unsupported is torch._dynamo.eval_frame.Unsupported
"""


def _run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_training_does_without_it_and_compiling_imports_it() -> None:
    _run(TRAINS_WITHOUT_IT + COMPILES)


def test_a_module_of_the_compiler_is_imported_once() -> None:
    _run(IMPORTED_FIRST.format(module="torch._dynamo.exc", name="exc"))
