"""From a config node to an object, with every mistake told by the key the user typed."""

import functools
import inspect
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
    """Instantiate config[key], passing `given` beside its keys.

    Raises:
        UserError: for an unknown argument (with the nearest name), a wrong type, or a value the class refuses.
    """
    node = OmegaConf.select(config, key)
    check_arguments(key, target(config, key), node, given)
    try:
        built = instantiate(node, **given)
        return _naming_its_key(key, built) if isinstance(built, functools.partial) else built
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError | ValueError | TypeError | MisconfigurationException | OmegaConfBaseException):
            raise UserError(f"{key}: {' '.join(str(cause).split())}") from error
        raise cause from error


def target(config: DictConfig, key: str) -> Callable[..., Any]:
    """The class or function that config[key] names.

    Raises:
        UserError: if it names none, or one that cannot be imported.
    """
    node = OmegaConf.select(config, key)
    if not isinstance(node, DictConfig) or "_target_" not in node:
        raise UserError(f"{key} must be a config with a _target_, got {node!r}")
    return _find(key, node["_target_"])


def accepts(target: Callable[..., Any], name: str) -> bool:
    """Whether a class or function takes an argument of that name."""
    return name in _parameters(target)[0]


def _naming_its_key(key: str, factory: Callable[..., Any]) -> Callable[..., Any]:
    """A factory whose refusals name the config key it was built from."""

    @functools.wraps(factory)
    def build_part(*arguments: Any, **keywords: Any) -> Any:
        try:
            return factory(*arguments, **keywords)
        except (ValueError, TypeError) as error:
            raise UserError(f"{key}: {error}") from error

    return build_part


def check_arguments(
    key: str, target: Callable[..., Any], node: DictConfig, given: Sequence[str] | dict[str, Any]
) -> None:
    """Compare a node's keys and values with the signature of what it configures.

    Raises:
        UserError: naming the key, what was expected and what came.
    """
    expected, takes_any = _parameters(target)
    for name in node:
        name = str(name)
        if name.startswith("_"):
            continue
        if name not in expected:
            if takes_any:
                continue
            choices = [choice for choice in expected if choice not in given]
            what = getattr(target, "__name__", str(target))
            raise UserError(f"unknown key {key}.{name}: {what} has no such argument{did_you_mean(name, choices)}")
        try:
            value = node[name]
        except MissingMandatoryValue as error:
            what = getattr(target, "__name__", str(target))
            raise UserError(f"{key}.{name} is missing: {what} cannot do without; give {key}.{name}=…") from error
        except OmegaConfBaseException as error:
            raise UserError(f"{key}.{name}: {str(error).splitlines()[0]}") from error
        check_value(f"{key}.{name}", value, expected[name])


def check_value(key: str, value: Any, hint: Any) -> None:
    """Raise UserError unless a plain config value fits a type annotation."""
    if not _fits(value, hint):
        raise UserError(f"{key}: expected {_describe(hint)}, got {value!r}")


def _find(key: str, path: str) -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = get_object(path)
    except Exception as error:
        raise UserError(f"{key}._target_: cannot import {path} ({' '.join(str(error).split())})") from error
    return found


def _parameters(target: Callable[..., Any]) -> tuple[dict[str, Any], bool]:
    """Names and annotations that a target accepts, and whether it takes any name.

    A class whose __init__ hands **keywords on to its base classes accepts theirs.
    """
    accepted: dict[str, Any] = {}
    functions = (
        [vars(cls)["__init__"] for cls in target.__mro__ if "__init__" in vars(cls)]
        if isinstance(target, type)
        else [target]
    )
    takes_any = False
    for function in functions:
        hints = _hints(function)
        takes_any = False
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return accepted, True
        for parameter in parameters:
            if parameter.kind is parameter.VAR_KEYWORD:
                takes_any = True
            elif parameter.kind is not parameter.VAR_POSITIONAL and parameter.name != "self":
                accepted.setdefault(parameter.name, hints.get(parameter.name, Any))
        if not takes_any:
            break
    return accepted, takes_any and not isinstance(target, type)


def _hints(function: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # annotations of other libraries may name what is imported for type checkers only
        return {}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain config value can be meant for an annotation; what is not plain is left to the class."""
    if hint is Any or isinstance(value, DictConfig):
        return True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return value in arguments
    if hint in (None, type(None)):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        items = [argument for argument in arguments if argument is not Ellipsis]
        return isinstance(value, ListConfig) and all(
            any(_fits(item, hint) for hint in items or [Any]) for item in value
        )
    is_plain = value is None or isinstance(value, bool | int | float | str | ListConfig)
    return not (is_plain and isinstance(hint, type) and hint is not object)


def _describe(hint: Any) -> str:
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_describe(argument) for argument in arguments)
    if origin is typing.Literal:
        return " or ".join(map(str, arguments))
    if hint in (None, type(None)):
        return "null"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"a list of {_describe(arguments[0])}"
    return getattr(hint, "__name__", str(hint))
