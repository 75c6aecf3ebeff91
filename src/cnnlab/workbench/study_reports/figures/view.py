"""The trials that a figure draws, with their values of one objective."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState, create_trial

from cnnlab.workbench.canvas import NotDrawn
from cnnlab.workbench.notation import short_names
from cnnlab.workbench.study_reports.figures.value_scale import ValueScale
from cnnlab.workbench.study_reports.quiet_optuna import optuna_is_quiet
from cnnlab.workbench.study_reports.sweep_folder import Sweep
from cnnlab.workbench.study_reports.trial_table import value_columns


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
        """A copy with this objective alone for Optuna's figures; trials without a finite value count as failed."""
        with optuna_is_quiet():
            study = optuna.create_study(direction="maximize" if self.maximize else "minimize")
        complete = {trial.number for trial in self.trials("COMPLETE")}
        for trial in self.sweep.trials:
            if trial.number in complete:
                value = float(self.values.at[trial.number])
                study.add_trial(create_trial(value=value, params=trial.params, distributions=trial.distributions))
            else:
                study.add_trial(create_trial(state=TrialState.FAIL))  # keeps the numbers of the others
        return study

    @cached_property
    def varied(self) -> list[str]:
        """The parameters that took more than one value in complete trials, the most important first."""
        trials = self.trials("COMPLETE")
        names = dict.fromkeys(name for trial in trials for name in trial.params)
        seen = {name: {repr(trial.params[name]) for trial in trials if name in trial.params} for name in names}
        varied = [name for name in names if len(seen[name]) > 1]
        return sorted(varied, key=lambda name: -self.importances.get(name, 0.0))

    @cached_property
    def short(self) -> dict[str, str]:
        return short_names(dict.fromkeys(name for trial in self.sweep.trials for name in trial.params))

    @cached_property
    def importances(self) -> dict[str, float]:
        """Shares of the parameters by PED-ANOVA, in descending order; empty where they cannot be told."""
        complete = self.trials("COMPLETE")
        if len(complete) < 2 or np.ptp(self.values_of(complete)) == 0:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "the importance may be inaccurate": the figure says how many trials
            found = get_param_importances(self.study, evaluator=PedAnovaImportanceEvaluator())
        return found if math.isfinite(sum(found.values())) and sum(found.values()) > 0 else {}
