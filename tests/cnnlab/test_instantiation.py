"""A config is checked against the signatures of the classes that it names."""

from collections.abc import Sequence
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf
from torch.utils.data import Dataset

from cnnlab.errors import UserError
from cnnlab.instantiation import build, check_value


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1, int),
        (1, float),
        ("a", str),
        (None, int | None),
        (True, bool),
        ("x", Literal["x", "y"]),
        (OmegaConf.create([1, 2]), Sequence[int]),
        (OmegaConf.create([1, 2]), int | str | Sequence[int]),
        (OmegaConf.create([1, 2]), tuple[float, float]),
        (OmegaConf.create([1, 2, 3]), tuple[int, ...]),
        ("anything", Any),
    ],
)
def test_fits(value: object, hint: object) -> None:
    check_value("key", value, hint)


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        ("1", int, "expected int, got '1'"),
        (True, int, "expected int, got True"),
        (True, float, "expected float, got True"),
        (1.5, int, "expected int, got 1.5"),
        (3, Dataset, "expected Dataset, got 3"),
        (OmegaConf.create(["a"]), tuple[int, ...], r"expected a list of int, got \['a'\]"),
        (None, int, "expected int, got None"),
        (1, str, "expected str, got 1"),
        ("z", Literal["x", "y"], "expected x or y, got 'z'"),
        (OmegaConf.create(["a"]), Sequence[int], r"expected a list of int, got \['a'\]"),
        ("a", float | None, "expected float or null, got 'a'"),
    ],
)
def test_does_not_fit(value: object, hint: object, expected: str) -> None:
    with pytest.raises(UserError, match=f"^key: {expected}$"):
        check_value("key", value, hint)


def test_arguments_of_base_classes_are_accepted() -> None:
    config = OmegaConf.create({"data": {"_target_": "cnnlab.data.mnist.MNIST", "root": None, "batch_size": 8}})
    assert build(config, "data").batch_size == 8
    config.data.batch_sise = 8
    with pytest.raises(UserError, match=r"unknown key data.batch_sise: MNIST .*did you mean batch_size\?"):
        build(config, "data")


def test_a_class_that_cannot_be_imported_is_named() -> None:
    config = OmegaConf.create({"model": {"_target_": "cnnlab.models.nothing.Nothing"}})
    with pytest.raises(UserError, match="model._target_: cannot import cnnlab.models.nothing.Nothing"):
        build(config, "model")
