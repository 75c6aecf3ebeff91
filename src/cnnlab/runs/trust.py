"""Checks the config of a run folder, which may come from somebody else: it may only build classes of known kinds."""

import os
import re
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cnnlab.errors import UserError

TRUST_VARIABLE = "CNNLAB_TRUSTED_TARGETS"

Key = tuple[Any, ...]


class _Role(NamedTuple):
    """The kind of class that a key of the config may name.

    Attributes:
        base: the class from which it must be derived.
        homes: the prefixes, one of which must begin both its name and the module that defines it.
        is_factory: whether the config may request a factory (_partial_) instead of the object.
    """

    base: str
    homes: tuple[str, ...]
    is_factory: bool = False


_OURS = "cnnlab."
_ROLES = {
    "data": _Role("lightning.pytorch.LightningDataModule", (_OURS,)),
    "augment": _Role("cnnlab.data.augment.Augmentation", (_OURS,)),
    "model": _Role("torch.nn.Module", (_OURS,)),
    "optimizer": _Role("torch.optim.Optimizer", (_OURS, "torch.optim."), is_factory=True),
    "scheduler": _Role("torch.optim.lr_scheduler.LRScheduler", (_OURS, "torch.optim."), is_factory=True),
    "classifier": _Role("lightning.pytorch.LightningModule", (_OURS,)),
}
_ROLES_OF_EACH = {
    "callbacks": _Role("lightning.pytorch.Callback", (_OURS, "lightning.pytorch.callbacks.")),
    "logger": _Role("lightning.pytorch.loggers.Logger", (_OURS, "lightning.pytorch.loggers.")),
}
# Objects inside the classifier's node.
_ROLES_INSIDE = {
    ("classifier", "loss"): _Role("torch.nn.Module", (_OURS, "torch.nn.")),
    ("classifier", "metrics"): _Role(
        "torchmetrics.Metric", (_OURS, "torchmetrics.classification.", "torchmetrics.regression.")
    ),
}
# It deletes any file that the checkpoint's state names. This project's own callback only deletes in the run folder.
_REMOVES_ANYTHING = "lightning.pytorch.callbacks.ModelCheckpoint"

# Hydra's special keys, and those of them that only say how plain values are passed.
_WORDS = {"_target_", "_args_", "_partial_", "_convert_", "_recursive_"}
_HARMLESS_WORDS = {"_target_", "_convert_", "_recursive_"}

# Parts that write files. They are given the run folder and must not write to another place or account.
_WRITERS = {"callbacks", "logger", "trainer"}
_PLACE = re.compile(r"(?:dir|dirpath|uri|location|api_key|api_token)$")


def trusted(config: DictConfig, source: str) -> DictConfig:
    """Return the config with its interpolations resolved, if every key holds only the kind of part that belongs there.

    The resolved config is checked, so nothing can hide in the result of an interpolation. Names and prefixes in
    the environment variable CNNLAB_TRUSTED_TARGETS, separated by commas, are allowed everywhere.

    Args:
        source: where the config comes from, for the message.

    Raises:
        UserError: naming what is refused and what to do.
    """
    extra = tuple(name for name in os.environ.get(TRUST_VARIABLE, "").split(",") if name)
    content = _resolved(config, source, extra)
    named: list[Key] = []
    for key, value in _walk(content):
        if not isinstance(value, dict):
            continue
        target = value.get("_target_")
        if target is not None and _is_named(target, extra, source):
            named.append(key)
        else:
            _check_node(key, value, source)
    for key, value in _walk(content):
        if key[:1] and key[0] in _WRITERS and not any(key[: len(one)] == one for one in named):
            _check_place(key, value, source)
    result = OmegaConf.create(content)
    assert isinstance(result, DictConfig)
    return result


def _resolved(config: DictConfig, source: str, extra: tuple[str, ...]) -> Any:
    """Return plain containers and values. Only references to other keys are resolved: resolvers may run any code."""
    known = "".join(f"|{re.escape(name)}:[^${{}}]*" for name in extra)
    reference = re.compile(rf"\$\{{\s*(?:[^\s${{}}:\\'\"(),]+{known})\s*\}}")
    for key, text in _walk(OmegaConf.to_container(config, resolve=False)):
        rest, found = text if isinstance(text, str) else "", 1
        while found:
            rest, found = reference.subn("_", rest)
        if "${" in rest:
            raise UserError(
                f"{source} holds {text} ({_dotted(key)}), which would call a resolver; expected plain values and "
                f"references to other keys. If you trust that run, set {TRUST_VARIABLE} to the resolver's name"
            )
    try:
        content = OmegaConf.to_container(config, resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        raise UserError(f"{source} cannot be resolved ({next(iter(str(error).splitlines()), 'recursion')})") from error
    for key, text in _walk(content):
        if isinstance(text, str) and "${" in text:  # Hydra would resolve it once more
            raise UserError(f"{source} holds an escaped interpolation, {text} ({_dotted(key)}); expected a plain value")
    return content


def _walk(value: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Return all values in nested containers, with the containers themselves."""
    yield key, value
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _walk(item, (*key, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _walk(item, (*key, number))


def _check_node(key: Key, node: dict[Any, Any], source: str) -> None:
    role = _role(key)
    allowed: set[str] = set()
    if role is not None:
        allowed = _HARMLESS_WORDS | ({"_partial_"} if role.is_factory else set())
    if "_target_" in node and (role is None or not _fits(node["_target_"], role, source)):
        target = node["_target_"]
        expected = "plain values there"
        if role is not None:
            homes = " or ".join(home.rstrip(".") for home in role.homes)
            expected = f"a subclass of {role.base.rpartition('.')[2]} from {homes}"
        raise UserError(
            f"{source} asks for {target} as {_dotted(key)}; expected {expected}. "
            f"If you trust that run, set {TRUST_VARIABLE}={target}"
        )
    for word in _WORDS - allowed:
        if word in node:
            raise UserError(f"{source} holds {_dotted((*key, word))}, which has no place there; expected plain values")


def _role(key: Key) -> _Role | None:
    if inside := _ROLES_INSIDE.get(key[:2]):  # the loss itself, or a metric in the list of metrics
        return inside if len(key) == (3 if key[1] == "metrics" else 2) else None
    return _ROLES.get(key[0]) if len(key) == 1 else _ROLES_OF_EACH.get(key[0]) if len(key) == 2 else None


def _check_place(key: Key, value: Any, source: str) -> None:
    """Refuse a text by which a part would write outside the run folder."""
    is_place = isinstance(key[-1], str) and _PLACE.search(key[-1]) is not None and value is not None
    if is_place or (isinstance(value, str) and _leads_away(value)):
        raise UserError(
            f"{source} would have {_dotted(key[:2])} write to {value} ({_dotted(key)}), outside the run folder; "
            f"if you trust that run, set {TRUST_VARIABLE} to the name behind its _target_, or remove the key"
        )


def _leads_away(text: str) -> bool:
    is_absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).anchor != ""
    return is_absolute or text.startswith("~") or "://" in text or ".." in re.split(r"[/\\]", text)


def _is_named(target: Any, extra: tuple[str, ...], source: str) -> bool:
    """Return whether the user trusts this name, or a prefix of both the name and the module that defines it."""
    if not isinstance(target, str) or not target.startswith(extra):
        return False
    return target in extra or _module_prefix(_imported(target, source)).startswith(extra)


def _fits(target: Any, role: _Role, source: str) -> bool:
    if not isinstance(target, str) or not target.startswith(role.homes):
        return False
    found = _imported(target, source)
    # A name that begins well may lead elsewhere: cnnlab.runs.atomic.os is another module, a class method runs code.
    if not isinstance(found, type) or not _module_prefix(found).startswith(role.homes):
        return False
    if issubclass(found, get_object(_REMOVES_ANYTHING)) and not _module_prefix(found).startswith(_OURS):
        return False
    return issubclass(found, get_object(role.base))


def _imported(target: str, source: str) -> Any:
    try:
        return get_object(target)
    except Exception as error:  # whatever a module raises while it is imported
        raise UserError(f"{source} asks for {target}, which cannot be imported") from error


def _module_prefix(found: Any) -> str:
    return f"{getattr(found, '__module__', None)}."


def _dotted(key: Key) -> str:
    return ".".join(map(str, key))
