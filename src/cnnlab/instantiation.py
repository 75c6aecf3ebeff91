"""Builds the objects that a config describes. Every error names the config key that has to be corrected."""

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from lightning.fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from cnnlab.errors import UserError, did_you_mean


def build(config: DictConfig, key: str, **given: Any) -> Any:
    """Instantiate the object that config[key] describes, with `given` as further arguments.

    Raises:
        UserError: for an unknown argument, with the most similar name, a wrong type, or a value that the class refuses.
    """
    node = OmegaConf.select(config, key)
    check_arguments(key, target(config, key), node, given)
    try:
        built = instantiate(node, **given)
        return _with_key_in_errors(key, built) if isinstance(built, functools.partial) else built
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError | ValueError | TypeError | MisconfigurationException | OmegaConfBaseException):
            raise UserError(f"{key}: {' '.join(str(cause).split())}") from error
        raise cause from error


def target(config: DictConfig, key: str) -> Callable[..., Any]:
    """Return the class or function that config[key] names as its _target_.

    Raises:
        UserError: if there is no _target_, or it cannot be imported.
    """
    node = OmegaConf.select(config, key)
    if not isinstance(node, DictConfig) or "_target_" not in node:
        raise UserError(f"{key} must be a config with a _target_, got {node!r}")
    return _imported(key, node["_target_"])


def _imported(key: str, path: str) -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = get_object(path)
    except Exception as error:
        module, _, name = path.rpartition(".")
        if module in sys.modules and (nearest := did_you_mean(name, dir(sys.modules[module]))):
            raise UserError(f"{key}._target_: {module} has no {name}{nearest}") from error
        raise UserError(f"{key}._target_: cannot import {path} ({' '.join(str(error).split())})") from error
    return found


def takes_argument(target: Callable[..., Any], name: str) -> bool:
    """Return whether a class or function takes an argument of that name."""
    return name in _parameters(target)[0]


def _with_key_in_errors(key: str, factory: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a factory such that its errors name the config key that it was built from."""

    @functools.wraps(factory)
    def build_part(*arguments: Any, **keywords: Any) -> Any:
        try:
            return factory(*arguments, **keywords)
        except (ValueError, TypeError) as error:
            raise UserError(f"{key}: {error}") from error

    return build_part


def check_arguments(
    key: str,
    target: Callable[..., Any],
    node: DictConfig,
    given: Sequence[str] | dict[str, Any],
    others: Sequence[str] = (),
) -> None:
    """Compare a node's keys and values with the signature of the class or function that it configures.

    Args:
        given: names of arguments that the program passes itself and that the config therefore cannot set.
        others: names of further keys, which the target does not take but the user may have meant.

    Raises:
        UserError: naming the key, the expected type and the value.
    """
    annotations, takes_any = _parameters(target)
    target_name = getattr(target, "__name__", str(target))
    for name in map(str, node):
        if name.startswith("_") or (takes_any and name not in annotations):
            continue
        if name not in annotations:
            nearest = did_you_mean(name, [*others, *(choice for choice in annotations if choice not in given)])
            raise UserError(f"unknown key {key}.{name}: {target_name} has no such argument{nearest}")
        try:
            value = node[name]
        except MissingMandatoryValue as error:
            raise UserError(f"{key}.{name} is missing: {target_name} requires it; give {key}.{name}=…") from error
        except OmegaConfBaseException as error:
            raise UserError(f"{key}.{name}: {str(error).splitlines()[0]}") from error
        check_value(f"{key}.{name}", value, annotations[name])
        for inner_key, inner in _described(f"{key}.{name}", value):
            check_arguments(inner_key, _imported(inner_key, inner["_target_"]), inner, ())


def _described(key: str, value: Any) -> list[tuple[str, DictConfig]]:
    """Return the objects that an argument describes: itself, or those in a list."""
    found = {key: value} if isinstance(value, DictConfig) else {}
    if isinstance(value, ListConfig):
        found = {f"{key}.{number}": item for number, item in enumerate(value)}
    return [(name, item) for name, item in found.items() if isinstance(item, DictConfig) and "_target_" in item]


def check_value(key: str, value: Any, annotation: Any) -> None:
    """Raise UserError unless a config value fits a type annotation."""
    if not _fits(value, annotation):
        raise UserError(f"{key}: expected {_describe(annotation)}, got {value!r}")


def _parameters(target: Callable[..., Any]) -> tuple[dict[str, Any], bool]:
    """Return the arguments of a class or function with their annotations, and whether it takes any others too.

    A class whose __init__ passes **keywords on to its base classes takes their arguments too.
    """
    functions: list[Any] = [target]
    if isinstance(target, type):
        functions = [vars(cls)["__init__"] for cls in target.__mro__ if "__init__" in vars(cls)]
    annotations: dict[str, Any] = {}
    takes_any = False
    for function in functions:
        try:
            parameters = _signature(function).parameters.values()
        except (TypeError, ValueError):  # a function written in C has no signature
            return annotations, True
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) and parameter.name != "self":
                annotations.setdefault(parameter.name, parameter.annotation)
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        if not takes_any:
            break
    return annotations, takes_any and not isinstance(target, type)


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except Exception:  # annotations of other libraries may name what is imported for type checkers only
        return inspect.signature(function)


def _fits(value: Any, annotation: Any) -> bool:
    """Return whether a config value fits an annotation. A nested config and an unusual annotation always fit.

    typeguard and pydantic do not fit: typeguard accepts true as a number, and both refuse a list for a tuple.
    """
    if isinstance(value, DictConfig) or annotation in (Any, object, inspect.Parameter.empty):
        return True
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return value in arguments
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return isinstance(value, ListConfig) and all(
            any(_fits(item, argument) for argument in arguments if argument is not ...) for item in value
        )
    # By type() and not isinstance(), because to Python true is an int.
    return not isinstance(annotation, type) or type(value) in ((int, float) if annotation is float else (annotation,))


def _describe(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_describe, arguments))
    if origin is typing.Literal:
        return " or ".join(map(str, arguments))
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"a list of {_describe(arguments[0])}"
    return "null" if annotation is types.NoneType else getattr(annotation, "__name__", str(annotation))
