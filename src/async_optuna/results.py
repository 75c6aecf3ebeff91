"""Writes optimization_results.yaml: the state of a search, and the commands that repeat and retrain its best trial."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import yaml
from optuna.trial import FrozenTrial

from async_optuna.commands import this_script
from async_optuna.errors import SearchError
from async_optuna.files import write_atomically
from async_optuna.ledger import Ledger
from async_optuna.outage import is_passing
from async_optuna.overrides import key_of, without
from async_optuna.repeats import SEEDS

FILE = "optimization_results.yaml"

# Those of every search; other numbers are told only where there are any.
STATES = ("complete", "pruned", "failed", "interrupted", "running")


# Seconds between two writings: at least this many, and this many for each second that writing takes.
_SHORTEST_PAUSE = 1.0
_PAUSE_PER_SECOND = 50.0

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times as fast where it is installed


class Results:
    """Writes the results of a study into its folder.

    Args:
        storage: as a reader opens it: the journal's name in the folder, or a URL.
        metric_names: of the objectives, in order.
        left_out: keys of overrides that belong to one trial's circumstances, not to what it computes.
        retrain: overrides that turn a trial into a full training; they replace those of the same keys.
        flags: of the command, such as --config-name.
        seed_key: through which each run of a trial is given its seed, where there are several.
    """

    def __init__(
        self,
        ledger: Ledger,
        storage: str,
        metric_names: Sequence[str],
        left_out: Sequence[str] = (),
        retrain: Sequence[str] = (),
        flags: Sequence[str] = (),
        seed_key: str = "",
    ) -> None:
        self._ledger = ledger
        self._storage = storage
        self._metric_names = list(metric_names)
        self._left_out = set(left_out)
        self._retrain = list(retrain)
        self._flags = list(flags)
        self._seed_key = seed_key
        self._due = 0.0

    def keep_up(self, ended: int) -> None:
        """Write the results after the end of this trial, unless that was done a moment ago and it is not the best.

        The file of a search with several objectives grows with the number of solutions: the moment grows with it.
        """
        best = self._ledger.best
        if time.monotonic() >= self._due or (best is not None and best.number == ended):
            self.write()

    def write(self) -> None:
        """Write them; a disk that is full for a moment may wait for the next time.

        Raises:
            SearchError: if they cannot be written for another reason.
        """
        began = time.monotonic()
        content = yaml.dump(self.content(), Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=10_000)
        try:
            write_atomically(self._ledger.sweep_dir / FILE, content.encode())
        except OSError as error:
            if not is_passing(error):
                raise SearchError(f"cannot write {error.filename}: {error.strerror}") from error
        now = time.monotonic()
        self._due = now + max(_SHORTEST_PAUSE, _PAUSE_PER_SECOND * (now - began))

    def content(self) -> dict[str, Any]:
        study = self._ledger.study
        content: dict[str, Any] = {
            "name": "optuna",
            "study_name": study.study_name,
            "storage": self._storage,
            "metrics": self._metric_names,
            "directions": [direction.name.lower() for direction in study.directions],
            "counts": {name: count for name, count in asdict(self._ledger.counts).items() if count or name in STATES},
        }
        best = self._ledger.best
        if len(study.directions) > 1:
            content["solutions"] = [
                {"params": dict(trial.params), "values": list(trial.values)} | _whereabouts(trial)
                for trial in self._ledger.front
            ]
        elif best is not None:
            place = _whereabouts(best)
            content |= {"best_params": dict(best.params), "best_value": best.value}
            content |= {"best_trial": place["trial"], "best_folder": place["folder"]}
            content |= {"reproduce": self.reproduce(best), "retrain": self.retrain(best)}
        return content

    def reproduce(self, trial: FrozenTrial) -> str:
        """The command that repeats a trial exactly; of one with several seeds, all of its runs."""
        overrides, seeds = self._computed(trial), trial.user_attrs.get(SEEDS)
        if not seeds:
            return this_script([*self._flags, *overrides])
        command = this_script([*self._flags, *without(overrides, self._seed_key)])
        return f"for seed in {' '.join(map(str, seeds))}; do {command} {self._seed_key}=$seed; done"

    def retrain(self, trial: FrozenTrial) -> str:
        """The command that trains a trial's point at full length and tests it."""
        replaced = {key_of(override) for override in self._retrain}
        kept = [override for override in self._computed(trial) if key_of(override) not in replaced]
        return this_script([*self._flags, *kept, *self._retrain])

    def _computed(self, trial: FrozenTrial) -> list[str]:
        overrides = trial.user_attrs.get("overrides", [])
        return [override for override in overrides if key_of(override) not in self._left_out]


def _whereabouts(trial: FrozenTrial) -> dict[str, Any]:
    return {"trial": trial.number, "folder": trial.user_attrs.get("folder", str(trial.number))}
