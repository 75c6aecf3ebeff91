"""Spares every process the import of libraries that torchmetrics needs for scores of images and sounds only.

Lightning imports torchmetrics, torchmetrics imports all its metrics, and some of those import torchvision's networks
and scipy.signal: together almost a third of the time that `import lightning` takes. While torchmetrics is imported,
stand-ins take their place. A metric that needs the real library loads it when it is used.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_POSTPONED = ("torchvision", "torchvision.models", "scipy.signal")


def postpone() -> None:
    """Let the libraries be imported when they are used, if torchmetrics is not imported yet."""
    if "torchmetrics" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds torchmetrics, once, and gives it a loader that puts up the stand-ins first."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "torchmetrics":
            return None
        sys.meta_path.remove(self)
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
        with _stand_ins():
            self._loader.exec_module(module)


@contextmanager
def _stand_ins() -> Iterator[None]:
    put_up = {name: _Module(name) for name in _POSTPONED if name not in sys.modules}
    for name, module in put_up.items():
        module.__spec__ = find_spec(name.partition(".")[0])  # which tells whether a library is installed
    sys.modules.update(put_up)
    try:
        yield
    finally:
        for name, module in put_up.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


class _Module(ModuleType):
    """A stand-in for a module: whatever is taken from it is a stand-in too."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Member(self.__name__, name)


class _Member:
    """A stand-in for a function, class or module that is imported when something is done with it."""

    def __init__(self, module: str, name: str) -> None:
        self.__dict__["_where"] = (module, name)

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return self._real()(*arguments, **settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def _real(self) -> Any:
        module, name = self._where
        return getattr(importlib.import_module(module), name)
