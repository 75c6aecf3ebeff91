"""Puts errors of Hydra and OmegaConf into one line, with the choices and the nearest valid name."""

import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

# only: zoo
from cnnlab.cli.torchvision_names import torchvision_classifiers

# end only
from cnnlab.errors import UserError, did_you_mean, nearest
from cnnlab.overrides import is_open, parsed

_MAY_BE_LEFT_OUT = ("callbacks", "logger")
# Hydra's own flags, which may be shortened.
_FLAGS = (
    *("-h", "--help", "--hydra-help", "--version", "-c", "--cfg", "--resolve", "-p", "--package", "-r", "--run"),
    *("-m", "--multirun", "-sc", "--shell-completion", "-cp", "--config-path", "-cn", "--config-name", "-cd"),
    *("--config-dir", "--experimental-rerun", "-i", "--info"),
)


def in_one_line(error: Exception, conf_dir: Path, config_name: str, overrides: list[str]) -> str:
    """Return the one line about an error that helps the user.

    Args:
        conf_dir, config_name, overrides: the config that was being composed, in which the nearest key is looked up.
    """
    if isinstance(error, UserError):
        return f"{error}{_fixed_by_experiment(str(error), conf_dir, overrides)}"
    if swept := re.search(r"(?:Ambiguous value for argument|not supported :) '(hydra\.[^=]*)=", str(error)):
        return f"{swept[1]} takes one value: quote one that holds a comma or brackets, \"{swept[1]}='…'\""
    if ambiguous := re.search(r"Ambiguous value for argument '(.*)'", str(error)):
        return (
            f"{ambiguous[1]} gives several values: with -m there is one run for each of them, as in "
            f"python {config_name}.py -m {ambiguous[1]}; a list is written with brackets, key=[1,2]"
        )
    if isinstance(error, MissingConfigException) and error.options:
        return _unknown_choice(error)
    if isinstance(error, ConfigCompositionException):
        return _cannot_compose(error, conf_dir, config_name, overrides)
    if isinstance(error, OverrideParseException):
        if "=" not in str(error.override):
            return f"cannot read {error.override}: every setting is written as key=value, without spaces around the ="
        # What is repeated here may be the address of a server: all from its first colon to the last @ may be secret.
        told = re.sub(r"(://[^:/\s]*):.*@", r"\1@", str(error.override))
        return f"cannot read {told}: {_first_line(error)}; quote values with special characters: \"key='value'\""
    if "Config group override must be" in str(error):
        return _no_choice(conf_dir, overrides)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _first_line(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot use {error.filename}: {error.strerror}; hydra.run.dir= names another folder"
    if isinstance(error, OSError):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    return f"{type(error).__name__}: {_first_line(error)} ({where}; HYDRA_FULL_ERROR=1 shows the stack trace)"


def refuse_misplaced_header(conf_dir: Path, overrides: list[str]) -> None:
    """Raise UserError if a file chosen on the command line has its `# @package` where Hydra does not read it.

    Hydra would treat the line as a comment and put the whole file below its group, where nothing reads it.
    """
    for group, choices in parsed(overrides).items():
        for choice in re.findall(r"[\w./-]+", choices):
            path = conf_dir / group.partition("@")[0] / f"{choice}.yaml"
            if not path.is_file():
                continue
            in_header = True
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                is_header = re.match(r"\s*#\s*@", line) is not None
                in_header = in_header and (is_header or not line.strip())
                if is_header and not in_header and re.fullmatch(r"\s*#\s*@package\s+\S+\s*", line):
                    raise UserError(
                        f"{path}, line {number}: {line.strip()!r} must stand before everything else in its file, "
                        "comments too, or Hydra does not read it; move it to the first line"
                    )


def _unknown_choice(error: MissingConfigException) -> str:
    group, _, choice = str(error.missing_cfg_file).rpartition("/")
    options = sorted(error.options or [])
    hint = did_you_mean(choice, options)
    # only: zoo
    if group == "model" and "torchvision" in options and choice in torchvision_classifiers():
        hint = f"; did you mean model=torchvision model.name={choice}?"
    # end only
    return f"unknown {group or 'config'} {choice!r}: choose from {', '.join(options)}{hint}"


def _fixed_by_experiment(message: str, conf_dir: Path, overrides: list[str]) -> str:
    """Return what an experiment fixes if an unknown key comes from it, because another class was chosen beside it."""
    given = parsed(overrides)
    path = conf_dir / "experiment" / f"{given.get('experiment')}.yaml"
    unknown = re.match(r"unknown key (\w+)\.", message)
    if unknown is None or unknown[1] not in given or not path.is_file():
        return ""
    group = unknown[1]
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    chosen = {name.removeprefix("override /"): value for entry in recipe["defaults"] for name, value in entry.items()}
    if group not in chosen or group not in recipe:
        return ""
    return (
        f"; experiment={path.stem} is a recipe for {group}={chosen[group]} and sets "
        f"{', '.join(f'{group}.{key}' for key in recipe[group])}: leave out {group}={given[group]} or the experiment"
    )


def _no_choice(conf_dir: Path, overrides: list[str]) -> str:
    """Return the message for a config group that was given null or nothing instead of the name of a file."""
    for group, choice in parsed(overrides).items():
        options = sorted(path.stem for path in (conf_dir / group.partition("@")[0]).glob("*.yaml"))
        if options and choice.strip() in ("null", "", "{}"):
            way_out = f"; ~{group} leaves the group out" if group in _MAY_BE_LEFT_OUT else ""
            return f"{group}={choice} names no choice: choose from {', '.join(options)}{way_out}"
    return "a config group was given a value that is none of its choices"


def _cannot_compose(error: ConfigCompositionException, conf_dir: Path, config_name: str, overrides: list[str]) -> str:
    message = str(error)
    unknown = re.search(r"Could not (?:override|delete) '([^'=]+?)'", message)
    if unknown is None:
        return f"{_first_line(error)} {(error.__cause__ and _first_line(error.__cause__)) or ''}".strip()
    key = unknown[1].partition("@")[0]
    meant = _nearest_key(key, _known_keys(conf_dir, config_name, overrides))
    return f"unknown key {key}" + (f"; did you mean {meant}?" if meant else "; --help lists all keys")


def refuse_foreign_keys(conf_dir: Path, config_name: str, arguments: list[str]) -> None:
    """Raise UserError for a key of another command, like data.batch_size where a run gives the data."""
    keys = [key for key in parsed(arguments) if is_open(key)]
    names = [name for some in _of_file(conf_dir, config_name) for name in some] if keys else []
    for key in keys:
        if key.partition(".")[0] not in names:
            raise UserError(f"unknown key {key}: {config_name}.py takes {', '.join(names)}; --help explains them")


def refuse_unknown_flags(conf_dir: Path, config_name: str, arguments: list[str]) -> None:
    """Raise UserError for a setting that is written like a flag of another program, as in --model tinyvgg."""
    for flag, following in zip(arguments, [*arguments[1:], ""], strict=False):
        name, equals, value = flag.partition("=")
        if not name.startswith("-") or any(known.startswith(name) for known in _FLAGS):
            continue
        if not equals and "=" not in following and not following.startswith("-"):
            value = following
        key = name.lstrip("-").replace("-", "_")
        known = _known_keys(conf_dir, config_name, [])
        key = key if key in known else _nearest_key(key, known) or key
        raise UserError(f"unknown flag {name}: settings are written without dashes, {key}={value or '…'}")


def _nearest_key(key: str, known: list[str]) -> str | None:
    """Return the key that was meant: one that ends like it, as optimizer.lr for lr, or a similar one."""
    ends: dict[str, list[str]] = {}
    for name in known:
        ends.setdefault(name.rpartition(".")[2], []).append(name)
    if len(ends.get(key, [])) == 1:
        return ends[key][0]
    similar = nearest(key, known)
    if similar is None and (end := nearest(key, [end for end, names in ends.items() if len(names) == 1])):
        similar = ends[end][0]
    return similar


def _known_keys(conf_dir: Path, config_name: str, overrides: list[str]) -> list[str]:
    """Return all groups, and all keys of the config with the choices that the user made."""
    groups, _ = _of_file(conf_dir, config_name)
    choices = [f"{group}={choice}" for group, choice in parsed(overrides).items() if group in groups]
    try:
        with initialize_config_dir(str(conf_dir), version_base="1.3"):
            config = compose(config_name, choices)
    except HydraException:
        return groups
    return [*groups, *_keys(config)]


def _of_file(conf_dir: Path, config_name: str) -> tuple[list[str], list[str]]:
    """Return the groups that a config's file names, and the keys that stand in the file itself."""
    content = yaml.safe_load((conf_dir / f"{config_name}.yaml").read_text(encoding="utf-8"))
    entries = [entry for entry in content.get("defaults", []) if isinstance(entry, dict)]
    groups = [name for entry in entries for name in entry if not name.startswith("override ")]
    return groups, [name for name in content if name not in ("defaults", "hydra")]


def _keys(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for name, value in node.items_ex(resolve=False):
        key = prefix + str(name)
        yield key
        if isinstance(value, DictConfig):
            yield from _keys(value, f"{key}.")


def _first_line(error: Any) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
