"""A search of each tool over the same points with two workers, undisturbed and with a kill -9 in the middle."""

import json
import math
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna

from cnnlab.workbench.benchmark.bench import PROJECT
from cnnlab.workbench.benchmark.measuring import Row, Settings
from cnnlab.workbench.benchmark.peer_data import mnist_folder
from cnnlab.workbench.benchmark.peer_environment import NotInstallable, Peer
from cnnlab.workbench.benchmark.peer_trainings import ONE_THREAD, OURS, SCRIPTS
from cnnlab.workbench.benchmark.timed_process import TimedProcess

HYDRA = "hydra-optuna-sweeper, joblib"
PEERS = (
    Peer(OURS, "search_hydra.py", "optuna"),
    Peer("Optuna, 2 threads", "search_optuna.py", "optuna"),
    Peer("Ray Tune", "search_ray.py", "ray", packages=("ray[tune]>=2.50,<3",)),
    Peer(
        HYDRA,
        "search_hydra.py",
        "hydra-optuna-sweeper",
        packages=("hydra-optuna-sweeper==1.4.0rc3", "hydra-joblib-launcher==1.4.0rc3"),
    ),
)
BY_NAME = {peer.name: peer for peer in PEERS}
Space = Mapping[str, Sequence[Any]]
SPACE: Space = {"batch_size": [16, 32, 64, 128], "hidden_units": [8, 16], "lr": [0.001, 0.002, 0.005, 0.01, 0.02]}
SMOKE_SPACE: Space = {"batch_size": [64, 128], "hidden_units": [8], "lr": [0.005, 0.01]}
_POLL_SECONDS = 0.1


def search(settings: Settings, name: str, killed: bool) -> list[Row]:
    """A search from Enter to its end; its first command is killed once half of the trials have ended if `killed`."""
    peer, space = BY_NAME[name], SMOKE_SPACE if settings.smoke else smaller(SPACE, settings.trials)
    row: Row = {"variant": name, "repeat": 0, "threads": 1}
    try:
        python = peer.interpreter()
    except NotInstallable as error:
        return [{**row, "reason": str(error)}]
    num_points = len(points(space))
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder, mnist_folder(settings.smoke) as data:
        log = Path(folder) / "trials.jsonl"
        paths = [str(SCRIPTS), *([str(PROJECT / "src")] if name == OURS else [])]
        variables = {
            **ONE_THREAD,
            "PYTHONPATH": os.pathsep.join(paths),
            "PEERS_DATA": data,
            "PEERS_LOG": str(log),
            "PEERS_SPACE": json.dumps(space),
        }
        command = [python, str(SCRIPTS / peer.script), *_options(name, space)]
        with ExitStack() as stack:  # what a killed command leaves behind stays until the second one has ended
            if killed:
                first = stack.enter_context(TimedProcess(command, Path(folder), variables))
                _kill_in_the_middle(first, log, num_points // 2)
            before, began = _notes(log), time.time()
            usage = stack.enter_context(TimedProcess(command, Path(folder), variables)).wait()
            trials, left = _notes(log), len(first.others()) if killed else 0
    ended = [note for note in trials if note["event"] == "end"]
    ended_before = {_point(note) for note in before if note["event"] == "end"}
    again = [note for note in trials[len(before) :] if note["event"] == "begin" and _point(note) in ended_before]
    return [
        {
            **row,
            "version": peer.version,
            "seconds": usage.seconds,
            "points": num_points,
            "trials": sum(note["event"] == "begin" for note in trials),
            "ended_before": len(ended_before),
            "again": len(again),
            "left": left,
            "never": num_points - len({_point(note) for note in ended}),
            "training_seconds": sum(_durations(trials)),
            "training_cpu_seconds": sum(note["cpu"] for note in ended),
            "bests": json.dumps(_bests(ended, began)),
            "load": os.getloadavg()[0],
        }
    ]


def first_reached(bests: str, accuracy: float) -> float:
    """Seconds until a trial had ended that was so accurate, nan if none was."""
    return next((float(seconds) for seconds, best in json.loads(bests) if best >= accuracy), math.nan)


def best_of(bests: str) -> float:
    return max(float(best) for _, best in json.loads(bests))


def _options(name: str, space: Space) -> list[str]:
    """Of search_hydra.py, which two sweepers run; the others have all in their scripts."""
    choices = [f"{key}=choice({','.join(map(str, values))})" for key, values in space.items()]
    if name == OURS:  # its own grid goes in order, so the others' order is given
        order = [f"{{{','.join(f'{key}:{value}' for key, value in point.items())}}}" for point in points(space)]
        enqueue = f"hydra.sweeper.enqueue=[{','.join(order)}]"
        sweeper = ["hydra/sweeper=async_optuna", enqueue, "hydra.sweeper.preload=[trial]"]
    elif name == HYDRA:
        launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
        sweeper = ["hydra/sweeper=optuna", *launcher, "hydra.sweeper.storage=sqlite:///study.db"]
    else:
        return []
    number = f"hydra.sweeper.n_trials={len(points(space))}"
    return ["-m", *sweeper, "hydra/sweeper/sampler=grid", number, *choices]


def points(space: Space) -> list[dict[str, Any]]:
    """The grid in the order in which Optuna's sampler goes through it."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.GridSampler(dict(space), seed=0))
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        key: optuna.distributions.CategoricalDistribution(values) for key, values in space.items()
    }
    order = [study.ask(distributions).params for _ in range(math.prod(map(len, space.values())))]
    optuna.logging.set_verbosity(verbosity)
    return order


def smaller(space: Space, trials: int) -> Space:
    """The space with fewer learning rates, the middle ones, so that it has at most so many points, or a single rate."""
    number = max(1, trials // (len(space["batch_size"]) * len(space["hidden_units"])))
    start = max(0, len(space["lr"]) - number) // 2
    return {**space, "lr": space["lr"][start : start + number]}


def _kill_in_the_middle(process: TimedProcess, log: Path, number: int) -> None:
    """Kill the command, and nothing that it has started, once so many trials have ended."""
    while not process.has_ended():
        if sum(note["event"] == "end" for note in _notes(log)) >= number:
            process.kill()
            return
        time.sleep(_POLL_SECONDS)
    process.wait()


def _notes(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


def _point(note: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(note["point"])


def _durations(notes: Sequence[Mapping[str, Any]]) -> list[float]:
    """Of the trials that ended; a worker, which is a thread of a process, has one trial at a time."""
    began: dict[tuple[int, ...], float] = {}
    durations = []
    for note in notes:
        worker = tuple(note["worker"])
        if note["event"] == "begin":
            began[worker] = note["time"]
        else:
            durations.append(note["time"] - began[worker])
    return durations


def _bests(ended: Sequence[Mapping[str, Any]], began: float) -> list[tuple[float, float]]:
    """The seconds since Enter at which each best accuracy so far was there."""
    bests: list[tuple[float, float]] = []
    for note in ended:
        if not bests or note["accuracy"] > bests[-1][1]:
            bests.append((round(note["time"] - began, 1), note["accuracy"]))
    return bests
