"""Spares every process the import of libraries that a training run needs for nothing.

Lightning imports torchmetrics, and torchmetrics imports all its metrics. Some of those need torchvision's networks and
scipy.signal, and its plots need matplotlib; Lightning's model summary needs Triton to count operations. While they are
imported, stand-ins take the place of what they need. Who uses such a metric, plot or count loads the real library.
"""

import functools
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, SimpleNamespace
from typing import Any

from cnnlab.speed.lazy_compiler import CompilerFinder

# Who imports what it needs for little.
_POSTPONED = {
    "torchmetrics": (
        *("torchvision", "torchvision.models", "scipy.signal"),
        *("matplotlib", "matplotlib.axes", "matplotlib.colors", "matplotlib.pyplot"),
    ),
    "lightning.pytorch.utilities.model_summary.model_summary": ("torch.utils.flop_counter",),
}


def postpone() -> None:
    """Let the libraries be imported when they are used, if they have not been imported yet."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path[:0] = [_Finder(), CompilerFinder()]


class _Finder(MetaPathFinder):
    """Finds who needs a library for little, and gives it a loader that puts up the stand-ins first."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _POSTPONED:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _LoaderWithStandIns(spec.loader)
        return spec


class _LoaderWithStandIns(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with _stand_ins(_POSTPONED[module.__name__]):
            self._loader.exec_module(module)


@contextmanager
def _stand_ins(names: Iterable[str]) -> Iterator[None]:
    put_up = {name: _Module(name) for name in names if name not in sys.modules}
    for name, module in list(put_up.items()):
        # Which tells whether a library is installed. Other finders than this one may tell the user that it is loaded.
        module.__spec__ = PathFinder.find_spec(name.partition(".")[0])
        if module.__spec__ is None:
            del put_up[name]
    if "matplotlib.pyplot" in put_up:
        put_up["matplotlib.pyplot"].style = SimpleNamespace(context=_in_style)  # type: ignore[attr-defined]
    sys.modules.update(put_up)
    try:
        yield
    finally:
        _take_down(put_up)


def _take_down(names: Iterable[str]) -> list[str]:
    """Remove the stand-ins among these modules from the imported ones, and return their names."""
    stand_ins = [name for name in names if isinstance(sys.modules.get(name), _Module)]
    for name in stand_ins:
        del sys.modules[name]
    return stand_ins


class _Module(ModuleType):
    """A stand-in for a module: what is taken from it while torchmetrics is imported is a stand-in too."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is not self:
            return getattr(importlib.import_module(self.__name__), name)
        inner = sys.modules.get(f"{self.__name__}.{name}")
        return inner if isinstance(inner, _Module) else _Member(self.__name__, name)


class _Member:
    """A stand-in for a function, class or module that is imported when something is done with it."""

    def __init__(self, module: str, name: str) -> None:
        self.__dict__["_where"] = (module, name)

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return self._real()(*arguments, **settings)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and isinstance(sys.modules.get(self._where[0]), _Module):
            raise AttributeError(name)  # typing looks at what stands in annotations
        return getattr(self._real(), name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._real())

    def _real(self) -> Any:
        module, name = self._where
        library = module.partition(".")[0]
        # If it is wanted that early, all that was imported of this library is to be there.
        for stand_in in _take_down([name for name in sys.modules if name.partition(".")[0] == library]):
            importlib.import_module(stand_in)
        return getattr(importlib.import_module(module), name)


def _in_style(*arguments: Any, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """matplotlib.style.context as a decorator, which torchmetrics puts on its plots when it is imported."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def decorated(*given: Any, **named: Any) -> Any:
            from matplotlib import style

            with style.context(*arguments, **settings):
                return function(*given, **named)

        return decorated

    return decorate
