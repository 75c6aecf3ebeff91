"""The part of sweep_benchmark.py that runs no processes: what it costs to begin and to end a trial of a long study."""

import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, create_trial

from async_optuna.distinct_sampler import DistinctSampler
from async_optuna.ledger import Claim, Ledger
from async_optuna.outcome import Outcome
from async_optuna.results import Results
from async_optuna.space import Parameter, Space
from async_optuna.storage import open_storage

Make = Callable[[int | None], BaseSampler] | None

_CONTINUOUS = Space(tuple(Parameter(name, FloatDistribution(-5, 5)) for name in ("x", "y")))
_FINITE = Space(tuple(Parameter(name, IntDistribution(0, 99)) for name in ("x", "y")))

# Trials measured at the end of each tenth; the others are put into the study ready made.
_MEASURED = 100
_MEASURED_OF_TPE = 20


def _random(seed: int | None) -> BaseSampler:
    return RandomSampler(seed=seed)


def _tpe(seed: int | None) -> BaseSampler:
    return TPESampler(seed=seed)


_KINDS: dict[str, tuple[Space, Make, int]] = {
    "random": (_CONTINUOUS, _random, 1),
    "random, two objectives": (_CONTINUOUS, _random, 2),
    "grid of 10,000 points": (_FINITE, None, 1),
    "tpe": (_CONTINUOUS, _tpe, 1),
    "tpe, 10,000 points": (_FINITE, _tpe, 1),
}


def claim_costs(n_trials: int) -> list[dict[str, Any]]:
    """One row for each sampler and each tenth of the study; every sampler has a process of its own."""
    rows = []
    with ProcessPoolExecutor(1, max_tasks_per_child=1) as pool:
        for kind in _KINDS:
            rows += pool.submit(_measure, kind, n_trials).result()
    return rows


def _measure(kind: str, n_trials: int) -> list[dict[str, Any]]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space, make, num_values = _KINDS[kind]
    memory = Path("/dev/shm")  # a disk's waiting for its platter is no cost of the study's length
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        study = optuna.create_study(
            study_name="s", storage=open_storage(None, Path(folder)), directions=["minimize"] * num_values
        )
        ledger = Ledger(study, space, Path(folder), n_trials)
        results = Results(ledger, "", [f"value {index}" for index in range(num_values)])
        study.sampler = DistinctSampler(make, 0, space, ledger.is_seen)
        num_measured = min(_MEASURED_OF_TPE if make is _tpe else _MEASURED, max(1, n_trials // 10))
        ready_made = _trials(space, num_values, in_order=make is None)
        rows = []
        for tenth in range(1, 11):
            study.add_trials(islice(ready_made, n_trials // 10 - num_measured))
            ledger.refresh()
            row = {"sampler": kind, "trials": f"{tenth * n_trials // 10:,}"}
            rows.append(row | _costs(ledger, study.sampler, num_measured))
            began = time.process_time()
            results.write()
            rows[-1]["results file"] = f"{1000 * (time.process_time() - began):.1f}"
            rows[-1]["MiB"] = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}"
    return rows


def _trials(space: Space, num_values: int, in_order: bool) -> Iterator[FrozenTrial]:
    """Complete trials as a search leaves them: the points of a grid in order, or any."""
    distributions = {parameter.name: parameter.distribution for parameter in space.parameters}
    dice = random.Random(0)
    finite = list(space.points()) if space.size() else []
    if not in_order:
        dice.shuffle(finite)
    points = iter(finite) if finite else ({name: dice.uniform(-5, 5) for name in distributions} for _ in count())
    for number, point in enumerate(points):
        attributes = {"overrides": [f"{name}={value}" for name, value in point.items()], "owner": "x", "seconds": 1.0}
        yield create_trial(
            values=[dice.random() for _ in range(num_values)],
            params=point,
            distributions=distributions,
            user_attrs={**attributes, "folder": str(number), "slot": 0},
        )


def _costs(ledger: Ledger, sampler: DistinctSampler, times: int) -> dict[str, str]:
    """CPU milliseconds for each of the next trials: to begin it, of that in Optuna, and to end it."""
    optunas = _Clock()
    optunas.watch(sampler, "_sample")
    optunas.watch(ledger.study, "_pop_waiting_trial_id")  # reads all trials, at each ask
    begins, ends = _Clock(), _Clock()
    for _ in range(times):
        ends.time(_end, ledger, begins.time(_begin, ledger))
    optunas.leave()
    ours = begins.seconds - optunas.seconds
    names = {"begin, without Optuna's search": ours, "Optuna's search": optunas.seconds, "end": ends.seconds}
    return {name: f"{1000 * seconds / times:.1f}" for name, seconds in names.items()}


def _begin(ledger: Ledger) -> Claim:
    claim = ledger.claim()
    assert claim is not None
    return claim


def _end(ledger: Ledger, claim: Claim) -> None:
    dice = random.Random(claim.number)
    ledger.finish(claim.number, Outcome("COMPLETE", [dice.random() for _ in ledger.study.directions]))
    ledger.refresh()


class _Clock:
    """Adds up the CPU seconds of calls."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._watched: list[tuple[Any, str]] = []

    def time(self, function: Callable[..., Any], *arguments: Any) -> Any:
        began = time.process_time()
        try:
            return function(*arguments)
        finally:
            self.seconds += time.process_time() - began

    def watch(self, owner: Any, name: str) -> None:
        """Time a method of an object until leave()."""
        method = getattr(owner, name)
        setattr(owner, name, lambda *arguments: self.time(method, *arguments))
        self._watched.append((owner, name))

    def leave(self) -> None:
        for owner, name in self._watched:
            delattr(owner, name)
