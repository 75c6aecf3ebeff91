"""A value in conf/ that repeats the default of its class says the same as the class."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

CONF = Path(__file__).parents[2] / "conf"
FILES = [
    CONF / "train.yaml",
    *(path for group in ("model", "data", "augment", "callbacks") for path in sorted((CONF / group).glob("*.yaml"))),
]


def described(node: DictConfig) -> Iterator[DictConfig]:
    """The nodes that describe an object of this project, however deep they lie."""
    if str(node.get("_target_")).startswith("cnnlab."):
        yield node
    for _, value in node.items_ex(resolve=False):
        if isinstance(value, DictConfig):
            yield from described(value)


def defaults(cls: type) -> dict[str, Any]:
    """The arguments that have a default, with those of the base classes."""
    parameters = [p for base in cls.__mro__[::-1] for p in inspect.signature(base.__init__).parameters.values()]
    return {p.name: p.default for p in parameters if p.default is not p.empty}


# What conf/ sets on purpose: runs of earlier versions, which do not have the key, must stay as they were.
NEWER = {"data/image_folder": {"resize"}}


def is_preset(path: Path) -> bool:
    """Whether several files of the group name the same class, and so tell its settings apart."""
    target = OmegaConf.load(path).get("_target_")
    return sum(OmegaConf.load(file).get("_target_") == target for file in path.parent.glob("*.yaml")) > 1


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.parent.name != "augment" or not is_preset(path)],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_yaml_repeats_the_defaults(path: Path) -> None:
    config = OmegaConf.load(path)
    assert isinstance(config, DictConfig)
    for node in described(config):
        expected = defaults(get_class(node["_target_"]))
        newer = NEWER.get(f"{path.parent.name}/{path.stem}", set())
        given = {str(k): v for k, v in node.items_ex(resolve=False) if k in expected and "${" not in str(v)}
        given = {name: value for name, value in given.items() if name not in newer}
        assert OmegaConf.create(given) == OmegaConf.create({name: expected[name] for name in given}), node["_target_"]
        if path.parent.name == "model":
            assert set(node) - {"_target_"} == set(expected), "a network's file lists every argument"
