"""Turns overrides in Hydra's syntax into a search space."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, QuotedString, RangeSweep
from omegaconf import DictConfig, ListConfig, OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from async_optuna.commands import quoted
from async_optuna.errors import SearchError, did_you_mean
from async_optuna.hydra_app.hydra_internals import text_of_element
from async_optuna.space import Branch, Parameter, Space, choice_texts


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


def distribution(override: Override) -> tuple[BaseDistribution, dict[Any, str]]:
    """The distribution that a sweep override describes, and its choices' texts.

    Ranges exclude their stop, as everywhere in Hydra. Order and shuffling mean nothing to a search.

    Raises:
        SearchError: if it is empty, or logarithmic from zero.
    """
    line = override.input_line
    sweep = override.value()
    if isinstance(sweep, IntervalSweep):
        return _interval(sweep, line), {}
    if isinstance(sweep, RangeSweep):
        return _range(sweep, line), {}
    if isinstance(sweep, ChoiceSweep):
        sweep.shuffle = False  # another order would be another search
    pairs = []
    for element in override.sweep_iterator():
        text = _text(element) if isinstance(element, bool) else text_of_element(element)
        value = element.text if isinstance(element, QuotedString) else element
        pairs.append((value if value is None or isinstance(value, str | int | float | bool) else text, text))
    if not pairs:
        raise SearchError(f"{line}: there is nothing to choose from")
    unique = list({(type(value).__name__, value): (value, text) for value, text in pairs}.values())
    return CategoricalDistribution([value for value, _ in unique]), choice_texts(unique)


def _interval(sweep: IntervalSweep, line: str | None) -> BaseDistribution:
    low, high = sweep.start, sweep.end
    assert low is not None
    assert high is not None
    log = "log" in sweep.tags
    _check_bounds(low, high, log, line)
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _range(sweep: RangeSweep, line: str | None) -> BaseDistribution:
    if not sweep.step:
        raise SearchError(f"{line}: the step of a range must not be 0")
    values = list(sweep.range())
    if not values:
        raise SearchError(f"{line}: the range is empty (its stop is excluded)")
    log = "log" in sweep.tags
    if all(isinstance(value, int) for value in values):
        step = abs(int(sweep.step))
        _check_bounds(min(values), max(values), log, line)
        if log and step != 1:
            raise SearchError(f"{line}: a logarithmic range needs step 1, got {step}")
        return IntDistribution(int(min(values)), int(max(values)), log=log, step=step)
    if log:
        raise SearchError(f"{line}: a range of floats cannot be logarithmic; use tag(log, interval(…))")
    first, decimal_step = Decimal(str(sweep.start)), Decimal(str(sweep.step))
    last = first + (len(values) - 1) * decimal_step
    return FloatDistribution(float(min(first, last)), float(max(first, last)), step=float(abs(decimal_step)))


def _check_bounds(low: float, high: float, log: bool, line: str | None) -> None:
    if low > high:
        raise SearchError(f"{line}: the interval is empty, {low} is larger than {high}")
    if log and low <= 0:
        raise SearchError(f"{line}: a logarithmic interval must begin above 0, got {low}")


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
    every = [*space.parameters, *(parameter for branch in space.branches for parameter in branch.parameters)]
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
