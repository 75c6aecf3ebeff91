"""Turns overrides in Hydra's syntax into a search space."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf

from async_optuna.commands import quoted
from async_optuna.errors import SearchError, did_you_mean
from async_optuna.hydra_app.distribution_of_override import distribution
from async_optuna.space import Branch, Parameter, Space


@dataclass
class _Part:
    """The parameters and the fixed overrides in one list of overrides, by their keys without prefixes."""

    parameters: dict[str, Parameter] = field(default_factory=dict)
    fixed: dict[str, Override] = field(default_factory=dict)

    def without(self, keys: Iterable[str]) -> "_Part":
        keys = set(keys)
        return _Part(
            {key: value for key, value in self.parameters.items() if key not in keys},
            {key: value for key, value in self.fixed.items() if key not in keys},
        )


def build_space(
    params: Mapping[str, Any],
    conditional: Mapping[str, Any],
    arguments: list[str],
    parser: OverridesParser,
    current: Callable[[str], str | None],
) -> Space:
    """Merge the config's space with the command line, which wins wherever both name a key.

    Args:
        params: hydra.sweeper.params.
        conditional: hydra.sweeper.conditional.
        arguments: the overrides given to the command.

    Raises:
        SearchError: for what cannot be searched.
    """
    given = _part(parser.parse_overrides(arguments))
    taken = {*given.parameters, *given.fixed}
    root = _part(_parse(parser, params)).without(taken)
    branches = []
    for condition, content in conditional.items():
        pairs = tuple(_condition(pair) for pair in str(condition).split(","))
        part = _part(_parse(parser, content or {}))
        swept = {key: given.parameters[key] for key in part.parameters if key in given.parameters}
        part = part.without(taken)
        branches.append(Branch(pairs, tuple(swept.values()) + tuple(part.parameters.values()), _lines(part.fixed)))
    in_a_branch = {parameter.name for branch in branches for parameter in branch.parameters}
    given_root = [parameter for parameter in given.parameters.values() if parameter.name not in in_a_branch]
    space = Space(
        (*root.parameters.values(), *given_root),
        _lines(given.fixed) | _lines(root.fixed),
        tuple(branches),
        current,
    )
    space.check()
    _check_conditions(space)
    return space


def fixed_overrides(params: Mapping[str, Any], arguments: list[str], parser: OverridesParser) -> list[str]:
    """The overrides that every trial gets, whatever its point."""
    given = _part(parser.parse_overrides(arguments))
    root = _part(_parse(parser, params)).without({*given.parameters, *given.fixed})
    return [*_lines(given.fixed).values(), *_lines(root.fixed).values()]


def _part(overrides: Iterable[Override]) -> _Part:
    part = _Part()
    for override in overrides:
        key = _bare(override.get_key_element())
        part.parameters.pop(key, None)
        part.fixed.pop(key, None)
        if override.is_sweep_override():
            name = override.get_key_element()
            prefix = "++" if name.startswith("++") else ""
            part.parameters[key] = Parameter(name.removeprefix("++"), *distribution(override), prefix)
        else:
            part.fixed[key] = override
    return part


def _parse(parser: OverridesParser, params: Mapping[str, Any]) -> list[Override]:
    return parser.parse_overrides([str(key) if str(key)[0] == "~" else f"{key}={_text(params[key])}" for key in params])


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, ListConfig | DictConfig):
        return _nested(OmegaConf.to_container(value, resolve=True))
    return str(value)


def _nested(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_nested, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_nested(item)}' for key, item in value.items())}}}"
    return quoted(value) if isinstance(value, str) else _text(value)


def _lines(fixed: Mapping[str, Override]) -> dict[str, str]:
    return {key: str(override.input_line) for key, override in fixed.items()}


def _condition(pair: str) -> tuple[str, str]:
    key, equals, value = pair.strip().partition("=")
    if not equals:
        raise SearchError(f"hydra.sweeper.conditional: expected key=value as a condition, got {pair!r}")
    return key.removeprefix("++"), value


def _check_conditions(space: Space) -> None:
    """A condition that no choice can meet is a typing mistake."""
    every = space.every_parameter()
    for branch in space.branches:
        for key, text in branch.conditions:
            texts = [choice for parameter in every if parameter.name == key for choice in parameter.texts.values()]
            if texts and text not in texts:
                nearest = did_you_mean(text, texts)
                raise SearchError(
                    f"hydra.sweeper.conditional: {key} is never {text}; choices are {', '.join(texts)}{nearest}"
                )
            known = [parameter.name for parameter in every]
            if key not in known and key not in space.fixed and space.current(key) is None:
                raise SearchError(f"hydra.sweeper.conditional: there is no key {key}{did_you_mean(key, known)}")


def _bare(key: str) -> str:
    return key.lstrip("+~")
