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


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_yaml_repeats_the_defaults(path: Path) -> None:
    config = OmegaConf.load(path)
    assert isinstance(config, DictConfig)
    for node in described(config):
        expected = defaults(get_class(node["_target_"]))
        given = {str(k): v for k, v in node.items_ex(resolve=False) if k in expected and "${" not in str(v)}
        assert OmegaConf.create(given) == OmegaConf.create({name: expected[name] for name in given}), node["_target_"]
        if path.parent.name == "model":
            assert set(node) - {"_target_"} == set(expected), "a network's file lists every argument"
