"""Every file of conf/ composes, and every class it names accepts exactly the keys it gives."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from conftest import PROJECT

CONF = PROJECT / "conf"
GROUPS = [
    "model",
    "data",
    "classifier",
    "augment",
    "optimizer",
    "scheduler",
    "trainer",
    "callbacks",
    "logger",
    "experiment",
]
GROUPS += ["sweep"]  # only: sweep
FILES = sorted(path for group in GROUPS for path in (CONF / group).glob("*.yaml"))


def composed(*overrides: str) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", list(overrides))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_composes_and_fits_its_class(path: Path) -> None:
    from cnnlab.instantiation import check_arguments

    config = composed(f"{path.parent.name}={path.stem}")
    for key in OmegaConf.missing_keys(config):
        OmegaConf.update(config, key, "given")
    nodes = {key: config[key] for key in ("model", "data", "augment", "optimizer", "scheduler", "classifier")}
    nodes |= {f"callbacks.{name}": node for name, node in config.callbacks.items()}
    nodes |= {f"logger.{name}": node for name, node in config.logger.items()}
    for key, node in nodes.items():
        check_arguments(key, get_object(node["_target_"]), node, ())


def test_the_monitor_is_named_once() -> None:
    named = [path for path in CONF.rglob("*.yaml") if "val/accuracy" in path.read_text(encoding="utf-8")]
    assert named == [CONF / "train.yaml"]
