"""A Hydra app for the tests of this folder: it writes down what it sees, and fails in every way there is."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from optuna import Study, Trial

from async_optuna import trial
from cnnlab.cli.lazy_help import lazy_help_allowed
from cnnlab.errors import UserError

SEEN = "seen.json"


@dataclass
class Small:
    units: int = 4


@dataclass
class Large:
    units: int = 64
    dropout: float = 0.0
    norm: bool = False


@dataclass
class AppConfig:
    """`what`: how the run ends; a number's own words for the task's mistakes, "" for none."""

    defaults: list[Any] = field(
        default_factory=lambda: ["_self_", {"model": "small"}, {"override hydra/sweeper": "async_optuna"}]
    )
    model: Any = None
    x: float = 0.0
    y: int = 0
    z: Any = "a"
    what: str = ""
    seconds: float = 0.0
    hydra: Any = field(
        default_factory=lambda: {
            "sweep": {"dir": "sweep", "subdir": "${hydra.job.num}"},
            "run": {"dir": "single"},
            "sweeper": {"study_name": "app"},
        }
    )


STORE = ConfigStore.instance()
STORE.store("app", AppConfig)
STORE.store(
    "branched",
    {
        "defaults": ["app", "_self_"],
        "hydra": {
            "sweeper": {
                "params": {"model": "small,large"},
                "conditional": {
                    "model=small": {"model.units": 8},
                    "model=large": {"model.units": "64,128", "model.norm": True},
                    "model.units=128,model=large": {"model.dropout": "0.1,0.2"},
                },
            }
        },
    },
)
STORE.store("small", Small, "model")
STORE.store("large", Large, "model")


class Infeasible(ValueError):
    """No shape fits."""

    infeasible = True


@hydra.main(version_base="1.3", config_path=None, config_name="app")
def main(config: DictConfig) -> Any:
    global lock
    lock = multiprocessing.get_context("spawn").Lock()  # as progress bars and data loaders have; a kill leaves it
    folder = Path(HydraConfig.get().runtime.output_dir)
    job = HydraConfig.get().job
    value = (config.x - 1) ** 2 + config.y + config.get("w", 0)
    seen = {
        "value": value,
        "config": OmegaConf.to_container(config),
        "cwd": os.getcwd(),
        "pid": os.getpid(),
        "job": [job.get("num"), job.get("id")],
        "environment": {key: os.environ.get(key) for key in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")},
    }
    (folder / SEEN).write_text(json.dumps(seen), encoding="utf-8")
    if running := trial.current():
        running.set_metric("size", config.y)
    time.sleep(config.seconds)
    match config.what:
        case "infeasible":
            raise Infeasible("no shape fits\nnot even this one")
        case "deaf":
            while True:
                try:
                    time.sleep(60)
                except BaseException:
                    continue
        case "die once" if "predecessor" not in config:
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            raise SystemExit(3)
        case "text":
            return "abc"
        case "several":
            return value, value
        case "two":
            return value, (config.x + 1) ** 2
        case "error":
            raise RuntimeError("what is error")
    return value


def suggest_z(config: DictConfig, trial: Trial) -> None:
    """A custom search space: z has to keep x's company, and w is a key that the config lacks."""
    x = trial.params["x"]
    trial.suggest_float("y" if config.what == "y" else "z", min(x, 0), max(x, 0))
    trial.suggest_categorical("+w", [0, 0.5])


def prepare(choices: Iterable[tuple[str, Iterable[DictConfig]]]) -> dict[str, str | None]:
    """Refuse a choice that goes with nothing, and pin the data."""
    for label, configs in choices:
        if all(config.z == "bad" for config in configs):
            raise UserError(f"{label}: no config accepts z=bad")
    return {"dataset": os.environ.get("DATASET")}


def prepare_for_long(choices: Iterable[tuple[str, Iterable[DictConfig]]]) -> None:
    Path("preparing").touch()
    time.sleep(60)


def report(folder: Path) -> str:
    return f"all about {folder.name}"


def report_of_study(folder: Path, study: Study) -> str:
    if len(study.trials) > 1:
        raise ValueError("more trials\nthan one")
    return f"all about {study.study_name} in {folder.name}"


def suggest_nonsense(config: DictConfig, trial: Trial) -> None:
    raise KeyError("no_such_parameter")


if __name__ == "__main__":
    with lazy_help_allowed():
        main()
