"""Leaves torch's compiler, a third of what `import lightning` costs, to be imported by those who compile.

Lightning imports torch._dynamo for isinstance checks, and every optimizer does in order to tell it what not to compile.
A stand-in takes its place and answers as the compiler does as long as nothing is compiled. Whatever else is asked of
it, torch.compile included, imports the real module. So a version of torch that asks for more is slower, not broken.
"""

import functools
import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_loader
from types import FunctionType, ModuleType
from typing import Any

_NAME = "torch._dynamo"
_IMPORTING = threading.RLock()  # other threads wait for the real module, as they do for any other import


class CompilerFinder(MetaPathFinder):
    """Finds the compiler, and puts off its import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_NAME):
            return None
        if fullname == _NAME:
            spec = PathFinder.find_spec(fullname, path)
            if spec is not None and spec.loader is not None:
                spec.loader = _PostponingLoader(spec.loader)
            return spec
        if _is_postponed():  # a module of the compiler's: it comes before it
            _real()
            if fullname in sys.modules:
                return _spec_of_imported(sys.modules[fullname])
        return None


class _PostponingLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__class__ = _Postponed
        vars(module).update(_STAND_INS)


def _spec_of_imported(module: ModuleType) -> ModuleSpec | None:
    """A spec for a module that has come along with another one: Python would import it a second time."""
    spec = spec_from_loader(module.__name__, _LoaderOfImported(module))
    # In which Python looks when it finds the module among the imported ones; those that hold settings take no other.
    vars(module)["__spec__"] = spec
    return spec


class _LoaderOfImported(Loader):
    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__spec__"] = self._spec


class _Postponed(ModuleType):
    """A module that becomes the real one when something is asked of it that no stand-in answers."""

    _is_importing = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":  # unittest, among others, asks every module for such names
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.become_real()
        if isinstance(self, _Postponed):  # while it is imported it asks for something of itself that is not there yet
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self, name)

    def become_real(self) -> None:
        with _IMPORTING:
            if not isinstance(self, _Postponed) or self._is_importing:
                return  # another thread has imported it by now, or this one is in the midst of it
            assert self.__spec__ is not None
            assert self.__spec__.loader is not None
            for name in _STAND_INS:
                delattr(self, name)
            self._is_importing = True
            try:
                self.__spec__.loader.exec_module(self)
            except BaseException:
                sys.modules.pop(self.__name__, None)  # as Python does with a module that cannot be imported
                raise
            finally:
                del self._is_importing
            self.__class__ = ModuleType  # type: ignore[assignment]


def _is_postponed() -> bool:
    return isinstance(sys.modules.get(_NAME), _Postponed)


def _real() -> ModuleType:
    module = importlib.import_module(_NAME)
    if isinstance(module, _Postponed):
        module.become_real()
    return module


class _TypeOfCompiled(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return not _is_postponed() and isinstance(instance, _real().OptimizedModule)


class OptimizedModule(metaclass=_TypeOfCompiled):
    """Stands for the type of what torch.compile makes of a network, which nothing is before the first call of it."""


def graph_break(*arguments: Any, **settings: Any) -> None:
    """Divides what is being compiled, which is nothing."""


def disable(fn: Any = None, *arguments: Any, **settings: Any) -> Callable[..., Any]:
    """Return the function such that the compiler leaves it alone from the moment on in which there is one."""
    if not isinstance(fn, FunctionType):
        return _real().disable(fn, *arguments, **settings)  # type: ignore[no-any-return]
    disabled = functools.cache(lambda: _real().disable(fn, *arguments, **settings))

    @functools.wraps(fn)
    def call(*given: Any, **named: Any) -> Any:
        return fn(*given, **named) if _is_postponed() else disabled()(*given, **named)

    return call


_STAND_INS = {"OptimizedModule": OptimizedModule, "graph_break": graph_break, "disable": disable}
