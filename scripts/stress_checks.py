"""What must hold for a search that was disturbed, and the table of what was seen."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from optuna.trial import FrozenTrial, TrialState

from toy_study import ToyStudy, begins

GONE_WITHIN = 2.0  # seconds


@dataclass
class Checks:
    """What was looked at, each as often as it was, and what should have been seen.

    Attributes:
        judges_times: whether a time above its limit is a failure; on a busy machine it need not be one.
    """

    judges_times: bool = True
    seen: dict[str, list[Any]] = field(default_factory=dict)
    expected: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)

    def equal(self, what: str, value: Any, expected: Any) -> None:
        self.seen.setdefault(what, []).append(value)
        self.expected[what] = expected

    def at_most(self, what: str, seconds: float, limit: float) -> None:
        self.seen.setdefault(what, []).append(seconds)
        self.limits[what] = limit

    def table(self, part: str) -> pd.DataFrame:
        rows = []
        for what, values in self.seen.items():
            if what in self.limits:
                limit, worst = self.limits[what], max(values)
                seen, expected, is_ok = f"<= {worst:.2f} s", f"<= {limit:g} s", worst <= limit or not self.judges_times
            else:
                seen, expected = counted(values), str(self.expected[what])
                is_ok = seen == expected
            row = {"part": part, "check": what, "times": len(values), "seen": seen, "expected": expected}
            rows.append({**row, "result": "OK" if is_ok else "FAILED"})
        return pd.DataFrame(rows)


def check(study: ToyStudy, checks: Checks) -> None:
    """What must hold for every study that has come to its end."""
    trials = study.trials()
    finished = [trial for trial in trials if is_finished(trial)]
    checks.equal("finished trials", len(finished), study.n_trials)
    checks.equal("distinct points among them", len({str(sorted(t.params.items())) for t in finished}), study.n_trials)
    checks.equal("RUNNING or WAITING trials", in_state(study, TrialState.RUNNING, TrialState.WAITING), 0)
    misused = [folder for folder in study.trial_folders() if not belongs_to_its_trial(folder, trials)]
    checks.equal("folders used twice or by another trial", len(misused), 0)
    checks.at_most("last process gone after the end", study.seconds_until_gone(), GONE_WITHIN)


def results(study: ToyStudy) -> dict[int, tuple[Any, ...]]:
    """All of the finished trials that must never change."""
    return {
        trial.number: (trial.state, trial.params, trial.values, trial.datetime_start, trial.datetime_complete)
        for trial in study.trials()
        if is_finished(trial)
    }


def is_finished(trial: FrozenTrial) -> bool:
    """Interrupted trials count for nothing."""
    return trial.state.is_finished() and not trial.user_attrs.get("interrupted")


def in_state(study: ToyStudy, *states: TrialState) -> int:
    return sum(trial.state in states for trial in study.trials())


def belongs_to_its_trial(folder: Path, trials: list[FrozenTrial]) -> bool:
    """Whether nothing ran in a folder but the trial of its number."""
    if int(folder.name) >= len(trials) or len(begins(folder)) > 1:
        return False
    trial = trials[int(folder.name)]
    recorded = folder / ".hydra" / "overrides.yaml"
    overrides = yaml.safe_load(recorded.read_text(encoding="utf-8")) if recorded.is_file() else None
    if overrides is None:  # killed before Hydra wrote them
        return not is_finished(trial)
    of_the_point = [override for override in overrides if not override.startswith("init_from=")]
    return bool(of_the_point == trial.user_attrs["overrides"])


def counted(values: list[Any]) -> str:
    """[0, 0, 0] is "0", [0, 1, 0] is "0 (2), 1 (1)"."""
    counts = Counter(map(str, values))
    if len(counts) == 1:
        return str(values[0])
    return ", ".join(f"{value} ({count})" for value, count in sorted(counts.items()))
