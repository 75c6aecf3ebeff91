"""--help explains every key of every choice in conf/, and names only what the command composes."""

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from cnnlab.cli import help
from cnnlab.cli.help import help_text, is_wanted
from conftest import PROJECT

CONF = PROJECT / "conf"
TRAIN = [
    "model",
    "data",
    "classifier",
    "augment",
    "optimizer",
    "scheduler",
    "callbacks",
    "logger",
    "trainer",
    "experiment",
]
TRAIN += ["sweep"]  # only: sweep
GROUPS: dict[str, list[str]] = {path.stem: [] for path in CONF.glob("*.yaml")} | {
    "train": TRAIN,
    "inspect_model": ["model", "data"],  # only: workbench
    "inspect_data": ["data", "augment"],  # only: workbench
    "find_lr": [group for group in TRAIN if group != "sweep"],  # only: workbench
}
FILES = {group: [f"{group}={path.stem}" for path in sorted((CONF / group).glob("*.yaml"))] for group in TRAIN}
# The first choice of every group, then the second of every group, …: composing takes longer than all else here. Only
# an experiment stands alone, because it sets keys of its own network.
CHOICES = [[experiment] for experiment in FILES.pop("experiment", [])]
CHOICES += [[choice for choice in row if choice] for row in zip_longest(*FILES.values())]


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[DictConfig]:
    """The configs that help_text composes, which takes longer than all else here."""
    configs: list[DictConfig] = []

    def remember(*arguments: Any, **settings: Any) -> DictConfig:
        configs.append(compose(*arguments, **settings))
        return configs[-1]

    monkeypatch.setattr(help, "compose", remember)
    return configs


def help_of(name: str, *arguments: str) -> str:
    GlobalHydra.instance().clear()
    return help_text(CONF, name, ["--help", *arguments])


def keys_of(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for name, value in node.items_ex(resolve=False):
        if isinstance(value, DictConfig):
            yield from keys_of(value, prefix + str(name) + ".")
        elif not str(name).startswith("_"):
            yield prefix + str(name)


def assert_explained(text: str, config: DictConfig) -> None:
    own = OmegaConf.masked_copy(config, [name for name in config if name != "hydra"])
    keys = list(keys_of(own))
    assert keys
    for key in keys:
        row = re.search(rf"^  {re.escape(key)}=(\S+|) {{3,}}\S.*[^…]$", text, re.MULTILINE)
        assert row is not None, f"{key} has no line, or no description that fits into it"
    assert max(map(len, text.splitlines())) <= 120


def test_lines_fit_a_narrow_terminal_and_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = help_of("train")
    monkeypatch.setenv("COLUMNS", "80")
    narrow = help_of("train")
    assert max(map(len, narrow.splitlines())) <= 80 < max(map(len, wide.splitlines()))
    assert narrow.split() == wide.split()


@pytest.mark.parametrize("name", GROUPS)
def test_every_key_is_explained_and_only_groups_in_use_are_listed(name: str, composed: list[DictConfig]) -> None:
    text = help_of(name)
    assert_explained(text, *composed)
    assert re.findall(r"^(\w+)=", text, re.MULTILINE) == GROUPS[name]


@pytest.mark.parametrize("choices", CHOICES, ids=" ".join)
def test_every_choice_is_explained(choices: list[str], composed: list[DictConfig]) -> None:
    text = help_of("train", *choices)
    assert_explained(text, *composed)
    for choice in choices:
        assert re.search(rf"^{choice}   .*\n(    .*\n)*  \w", text, re.MULTILINE), f"{choice} has no description"


def test_several_choices_and_none_of_a_group() -> None:
    text = help_of("train", "logger=[tensorboard,csv]", "~callbacks", "-m")
    assert "\nlogger=[tensorboard,csv] " in text
    assert re.search(r"^  logger\.csv +writes every logged number", text, re.MULTILINE)
    assert "callbacks.checkpoint" not in text


def test_a_class_of_ones_own_is_explained_by_its_docstring_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_base.py").write_text(
        'class Base:\n    """Base.\n\n    Args:\n        depth, width: size. More.\n    """\n'
    )
    (tmp_path / "my_net.py").write_text(
        "from my_base import Base\nraise RuntimeError('imported')\n"
        'class Net(Base):\n    """A net of mine.\n\n    Args:\n        lr: the rate\n            of learning.\n\n'
        '    Raises:\n        ValueError: never.\n    """\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = ["classifier._target_=my_net.Net", "classifier.lr=1", "classifier.depth=2", "classifier.unknown=[null,a b]"]
    lines = [" ".join(line.split()) for line in help_of("train", *own).splitlines()]
    assert "classifier.lr=1 the rate of learning" in lines
    assert "classifier.depth=2 size" in lines
    assert "classifier.unknown=[null,a b]" in lines


def test_other_flags_are_answered_by_hydra() -> None:
    assert is_wanted(["model=linear", "-h"])
    assert not is_wanted(["model=linear"])
    assert not is_wanted(["--help", "--config-dir", "elsewhere"])
