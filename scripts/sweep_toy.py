"""A task without data or network, to try searches on: python scripts/sweep_toy.py -m hydra.sweeper.n_trials=20

It sleeps for `seconds` in `steps` steps, reports after each where it is asked to, and returns (x - 1)² + y. With
`trains` the steps are epochs of a training that writes checkpoints and goes on from those of `init_from`.
"""

import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from cnnlab.cli.lazy_help import lazy_help_allowed


@dataclass
class Config:
    """`fail`: an exception, nan, none, kill (SIGKILL to itself) or pruned; `report`: report after every step;
    `hangs`: how the trial of the number `hanging_trial` hangs: it waits, or it holds the interpreter;
    `must_be_loaded`: modules that must have been imported before the first line.
    """

    defaults: list[Any] = field(default_factory=lambda: ["_self_", {"override hydra/sweeper": "async_optuna"}])
    x: float = 0.0
    y: float = 0.0
    z: str = "a"
    seconds: float = 0.0
    steps: int = 1
    report: bool = False
    trains: bool = False
    init_from: str | None = None
    fail: str = ""
    two_objectives: bool = False
    hangs: str = ""
    hanging_trial: int = -1
    must_be_loaded: list[str] = field(default_factory=list)
    hydra: Any = field(
        default_factory=lambda: {
            "sweep": {"dir": "outputs/sweeps/${hydra.sweeper.study_name}", "subdir": "${hydra.job.num}"},
            "run": {"dir": "outputs/toy"},
            "sweeper": {"study_name": "toy", "params": {"x": "interval(-5.0, 5.0)"}},
            "output_subdir": ".hydra",
        }
    )


ConfigStore.instance().store("toy", Config)


@hydra.main(version_base="1.3", config_path=None, config_name="toy")
def main(config: DictConfig) -> Any:
    """Return the distance from the optimum."""
    print(f"{time.time():.6f} begins", flush=True)
    if missing := set(config.must_be_loaded) - set(sys.modules):
        raise RuntimeError(f"not loaded: {missing}")
    if HydraConfig.get().job.get("num") == config.hanging_trial and config.hangs:
        hang(config.hangs)
    if config.trains:
        train(config)
    for step in range(1, 1 if config.trains else config.steps + 1):
        time.sleep(config.seconds / config.steps)
        if config.report and asked_to_stop(config, step):
            break
    if config.fail == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if config.fail == "pruned":
        from optuna import TrialPruned

        raise TrialPruned("the task said so")
    if config.fail in ("nan", "none"):
        return float("nan") if config.fail == "nan" else None
    if config.fail:
        raise RuntimeError(f"fail={config.fail}")
    value = (config.x - 1) ** 2 + config.y
    return (value, abs(config.x)) if config.two_objectives else value


def hang(how: str) -> None:
    (Path(HydraConfig.get().runtime.output_dir) / "hangs").touch()
    while True:
        if how == "holds":
            ctypes.PyDLL(None).sleep(60)  # no other thread of this process runs meanwhile
        time.sleep(1)


def train(config: DictConfig) -> None:
    import toy_training

    folder = Path(HydraConfig.get().runtime.output_dir)
    source = Path(config.init_from) if config.init_from else None
    toy_training.train(folder, source, config.steps, config.seconds)


def asked_to_stop(config: DictConfig, step: int) -> bool:
    from async_optuna import trial

    current = trial.current()
    value = (config.x - 1) ** 2 + 1 / step
    return current is not None and current.report(value, step) is not None


if __name__ == "__main__":
    with lazy_help_allowed():
        main()
