"""The trials that a figure draws, with their values of one objective."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState, create_trial

from cnnlab.workbench.canvas import NotDrawn
from cnnlab.workbench.notation import metric_words, short_names
from cnnlab.workbench.study_reports.fanova import Importance, importances
from cnnlab.workbench.study_reports.figures.value_scale import ValueScale
from cnnlab.workbench.study_reports.quiet_optuna import optuna_is_quiet
from cnnlab.workbench.study_reports.sweep_folder import Sweep
from cnnlab.workbench.study_reports.trial_table import value_columns

_FEWEST_TRIALS = 20  # complete, for importances


@dataclass(frozen=True)
class View:
    """One objective of a study.

    Args:
        sweep: the study.
        table: `trial_table` of it.
        objective: which of its metrics.
    """

    sweep: Sweep
    table: pd.DataFrame
    objective: int = 0

    @property
    def metric(self) -> str:
        return self.sweep.metrics[self.objective]

    @property
    def maximize(self) -> bool:
        return self.sweep.maximize[self.objective]

    @cached_property
    def values(self) -> pd.Series:
        """Finite values of trials, by number in ascending order; of PRUNED and RUNNING ones the best reported."""
        values = self.table[value_columns(self.sweep)[self.objective]].astype(float).sort_index()
        return values[np.isfinite(values)]

    def trials(self, *states: str) -> list[FrozenTrial]:
        """The trials in these states that have a value, in the order of their numbers."""
        chosen = self.table.loc[self.values.index, "state"].isin(states)
        return [self.sweep.trials[int(number)] for number in self.values.index[chosen]]

    def values_of(self, trials: Sequence[FrozenTrial]) -> NDArray[np.float64]:
        return np.array([self.values.at[trial.number] for trial in trials], dtype=float)

    def require_complete(self, least: int = 2) -> list[FrozenTrial]:
        """The COMPLETE trials.

        Raises:
            NotDrawn: there are fewer than `least`.
        """
        complete = self.trials("COMPLETE")
        if len(complete) < least:
            raise NotDrawn(f"{len(complete)} complete trial{'s'[: len(complete) != 1]}, {least} are needed")
        return complete

    @cached_property
    def value_scale(self) -> ValueScale:
        """Spans the COMPLETE trials: where pruned ones were after an epoch or two says little about the outcome."""
        return ValueScale.fitted(self.metric, self.maximize, self.values_of(self.trials("COMPLETE")))

    @cached_property
    def study(self) -> optuna.Study:
        """This objective alone for Optuna's figures; trials without a finite value count as failed."""
        complete = {trial.number: trial for trial in self.trials("COMPLETE")}
        num_complete = sum(trial.state is TrialState.COMPLETE for trial in self.sweep.trials)
        if not self.sweep.several and len(complete) == num_complete:
            return self.sweep.study
        failed = create_trial(state=TrialState.FAIL)  # keeps the numbers of the others
        numbers = (trial.number for trial in self.sweep.trials)
        return self._copy(self._alone(complete[number]) if number in complete else failed for number in numbers)

    def study_of_best(self, number: int) -> optuna.Study:
        """So many complete trials, the best of them, with numbers of their own."""
        complete = self.trials("COMPLETE")
        complete.sort(key=lambda trial: self.values.at[trial.number] * (-1 if self.maximize else 1))
        return self._copy(self._alone(trial) for trial in complete[:number])

    def _copy(self, trials: Iterable[FrozenTrial]) -> optuna.Study:
        with optuna_is_quiet():
            study = optuna.create_study(direction="maximize" if self.maximize else "minimize")
        study.add_trials(trials)
        return study

    def _alone(self, trial: FrozenTrial) -> FrozenTrial:
        value = float(self.values.at[trial.number])
        return create_trial(value=value, params=trial.params, distributions=trial.distributions)

    @cached_property
    def _varied(self) -> list[str]:
        """The parameters that took more than one value in complete trials."""
        trials = self.trials("COMPLETE")
        names = dict.fromkeys(name for trial in trials for name in trial.params)
        seen = {name: {repr(trial.params[name]) for trial in trials if name in trial.params} for name in names}
        return [name for name in names if len(seen[name]) > 1]

    @cached_property
    def varied(self) -> list[str]:
        """The same, the most important first as far as that can be told."""
        return [*self.importances, *(name for name in self._varied if name not in self.importances)]

    @cached_property
    def short(self) -> dict[str, str]:
        return short_names(dict.fromkeys(name for trial in self.sweep.trials for name in trial.params))

    @property
    def label(self) -> str:
        """The metric in words."""
        return metric_words(self.metric)

    @property
    def enough(self) -> int:
        """How many complete trials say something about the importance of their parameters."""
        return max(_FEWEST_TRIALS, 2 * len(self._varied))

    @cached_property
    def importances(self) -> dict[str, Importance]:
        """How much each parameter that varies matters, in descending order; empty where that cannot be told."""
        complete = self.trials("COMPLETE")
        if len(complete) < self.enough or not self._varied:
            return {}
        return importances(complete, self.values_of(complete), self._varied)
