"""The answer to --help: every key of the config that a command composes, with one line that says what the key is.

The line is the key's comment in its YAML file, or else the argument's description in the docstring of the class that
`_target_` names. Classes are found as source text and nothing is imported for it: torch alone would take seconds.
"""

import ast
import importlib.util
import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from cnnlab.overrides import for_hydra, value_of

_NARROWEST, _WIDEST = 60, 120  # characters of a line; also what is taken where the output is no terminal
_FLAGS = {"--help", "-h"}
_FLAGS_BESIDE = {"--multirun", "-m"}

_ARGUMENTS = re.compile(r"^Args:\n((?:(?: {4}.*)?\n?)*)", re.MULTILINE)
_ARGUMENT = re.compile(r"^ {4}([\w, ]+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def is_wanted(arguments: Sequence[str]) -> bool:
    """Return whether these arguments ask for this help. Beside other flags of Hydra's, Hydra itself answers."""
    flags = {argument for argument in arguments if argument.startswith("-")}
    return bool(flags & _FLAGS) and flags <= _FLAGS | _FLAGS_BESIDE


def help_text(conf_dir: Path, config_name: str, arguments: Sequence[str]) -> str:
    """Return the header of conf/<config_name>.yaml, then all keys by group, with the groups' choices.

    Args:
        arguments: of the command line; a chosen group is shown with the keys of that choice.

    Raises:
        HydraException: if the arguments do not fit the config.
    """
    overrides = for_hydra([argument for argument in arguments if not argument.startswith("-")])
    with initialize_config_dir(str(conf_dir), version_base="1.3"):
        config = compose(config_name, overrides, return_hydra_config=True)
    main = _YamlFile.read(conf_dir / f"{config_name}.yaml", "")
    chosen = {group: _choices(group, config, overrides) for group in main.groups if (conf_dir / group).is_dir()}
    comments = dict(main.comments)
    headers: dict[str, list[str]] = {}
    for group, names in chosen.items():
        for name in names:
            file = _YamlFile.read(conf_dir / group / f"{name}.yaml", group)
            comments |= file.comments
            headers[group] = [*headers.get(group, []), *file.header]
    rows = [row for row in _rows(config, comments) if row[0].partition(".")[0] != "hydra"]
    width = max(_NARROWEST, min(shutil.get_terminal_size((_WIDEST, 0)).columns, _WIDEST))
    sections = ["\n".join(_example(line, width) for line in config.hydra.help.header.rstrip().splitlines())]
    sections.append("Every key below can be given as key=value" + (", a group as group=choice." if chosen else "."))
    sections.append(_aligned([row for row in rows if row[0].partition(".")[0] not in chosen], width))
    for group, names in chosen.items():
        options = sorted(path.stem for path in (conf_dir / group).glob("*.yaml"))
        choice = _value(names[0] if len(names) == 1 else names or None)
        title = f"{group}={choice}   {comments.get(group, 'choices')}: {', '.join(options)}"
        lines = [_wrapped(title, "", width), *(_wrapped(line, "  ", width) for line in headers.get(group, []))]
        lines.append(_aligned([row for row in rows if row[0].partition(".")[0] == group and row[0] != group], width))
        sections.append("\n".join(filter(None, lines)))
    last = "--cfg job prints the config as YAML; --hydra-help lists the flags that all commands share."
    sections.append(_wrapped(last, "", width))
    return "\n\n".join(sections)


class _YamlFile(NamedTuple):
    """The comments in a YAML file of conf/.

    Attributes:
        header: the comment before everything else, line by line, without the lines that only name the command.
        comments: the comment of each key, by its dotted name in the config, and of each group, including the comments
            in the files that this one is based on.
        groups: the config groups of its defaults list.
    """

    header: list[str]
    comments: dict[str, str]
    groups: list[str]

    @classmethod
    def read(cls, path: Path, package: str) -> "_YamlFile":
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        size = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
        header = [line.lstrip("# ") for line in lines[:size]]
        if "@package _global_" in header:
            package = ""
        root = yaml.compose(text)
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        comments: dict[str, str] = {}
        groups: list[str] = []
        for entry in next((value.value for name, value in pairs if name.value == "defaults"), []):
            if isinstance(entry, yaml.MappingNode):
                groups += [name.value for name, _ in entry.value if not name.value.startswith("override ")]
                comments |= _comments(entry.value, lines, size, "")
            elif entry.value != "_self_":
                base, _, other_package = entry.value.partition("@")
                comments |= cls.read(path.with_name(f"{base}.yaml"), other_package or package).comments
        comments |= _comments(pairs, lines, size, f"{package}." if package else "")
        words = [line for line in header if not line.startswith(("@package", "python ", "only: ", "end only"))]
        return cls(words, comments, groups)


def _comments(
    pairs: Sequence[tuple[yaml.Node, yaml.Node]], lines: list[str], header_size: int, prefix: str
) -> dict[str, str]:
    """Return the comment at the end of each key's line, or else the comment in the lines right above it."""
    found: dict[str, str] = {}
    for name, value in pairs:
        number = name.start_mark.line
        is_block = value.end_mark.line != number
        tail = lines[number][name.end_mark.column + 1 if is_block else value.end_mark.column :].strip()
        above = number
        while above > header_size and lines[above - 1].lstrip().startswith("#"):
            above -= 1
        comment = tail if tail.startswith("#") else " ".join(line.strip(" #") for line in lines[above:number])
        if comment:
            found[f"{prefix}{name.value}"] = comment.lstrip("# ")
        if isinstance(value, yaml.MappingNode):
            found |= _comments(value.value, lines, header_size, f"{prefix}{name.value}.")
    return found


def _choices(group: str, config: DictConfig, overrides: Sequence[str]) -> list[str]:
    """Return the names chosen from a group. Hydra does not record several, as in logger=[tensorboard,csv]."""
    given = config.hydra.runtime.choices.get(group) or value_of(group, list(overrides)) or ""
    return [name.strip() for name in given.strip("[]").split(",") if name.strip()]


def _rows(node: DictConfig, comments: dict[str, str], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield key, `key=value` and description of each value, and of each object that the config describes."""
    target = OmegaConf.to_container(node).get("_target_")  # type: ignore[union-attr]
    summary, arguments = _described(target) if target else ("", {})
    if target and prefix:
        key = prefix.rstrip(".")
        yield key, key, comments.get(key) or summary
    for name, value in node.items_ex(resolve=False):
        key = prefix + str(name)
        if isinstance(value, DictConfig) and key != "hydra":
            yield from _rows(value, comments, f"{key}.")
        elif not str(name).startswith("_"):
            plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            yield key, f"{key}={_value(plain)}", comments.get(key) or arguments.get(str(name), "")


def _value(value: Any) -> str:
    """Return a value as the command line takes it."""
    if isinstance(value, list):
        return f"[{','.join(map(_value, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value) or "''"


def _described(target: str) -> tuple[str, dict[str, str]]:
    """Return the first sentence of a class's docstring and its arguments' descriptions, inherited ones included.

    Both are empty where the class is not defined in the module that its dotted name says, as torch's and Lightning's.
    """
    module, _, name = target.rpartition(".")
    path = _source(module)
    tree = ast.parse(path.read_text(encoding="utf-8")) if path else ast.Module([], [])
    found = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    if found is None:
        return "", {}
    origins = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    arguments: dict[str, str] = {}
    for base in found.bases:
        if isinstance(base, ast.Name):
            arguments |= _described(origins.get(base.id, f"{module}.{base.id}"))[1]
    docstring = ast.get_docstring(found) or ""
    if section := _ARGUMENTS.search(docstring):
        for names, text in _ARGUMENT.findall(section[1]):
            arguments |= {argument.strip(): _first_sentence(text) for argument in names.split(",")}
    return _first_sentence(docstring.partition("\n\n")[0]), arguments


def _source(module: str) -> Path | None:
    """Return the source file of a module. Only its first part is asked for by name, which imports nothing."""
    package, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # a module without a spec, as the script that is running
        return None
    if spec is None:
        return None
    places = [Path(place, *rest) for place in spec.submodule_search_locations or ()]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    files += [Path(spec.origin)] if spec.origin and not rest else []
    return next((file for file in files if file.is_file()), None)


def _first_sentence(text: str) -> str:
    return re.split(r"\.\s+(?=[A-Z])", " ".join(text.split()), maxsplit=1)[0].removesuffix(".")


def _aligned(rows: Sequence[tuple[str, str, str]], width: int) -> str:
    """Return one line for each row, the descriptions below each other.

    A long description starts further left, and one that does not fit there either goes on in lines of its own.
    """
    column = max((len(left) for _, left, _ in rows), default=0)
    lines = []
    for _, left, description in rows:
        line = f"  {left:<{min(column, max(width - 5 - len(description), 0))}}   {description}"
        lines += [line] if len(line) <= width else _below(f"  {left}", description, width)
    return "\n".join(line.rstrip() for line in lines)


def _example(line: str, width: int) -> str:
    """Return a line of the header; what an example explains on its right goes below it where the line is too long."""
    if len(line) <= width:
        return line
    command, gap, words = line.strip().partition("  ")
    return "\n".join(_below(f"  {command}", words, width)) if gap else _wrapped(line, "", width)


def _below(line: str, description: str, width: int) -> list[str]:
    indent = " " * 6
    return [line, *textwrap.wrap(description.strip(), width, initial_indent=indent, subsequent_indent=indent)]


def _wrapped(line: str, indent: str, width: int) -> str:
    return textwrap.fill(line, width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)
