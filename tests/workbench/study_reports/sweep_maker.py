"""For the tests of this folder: sweep folders as the engine leaves them, with trials that never ran."""

import json
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

START = datetime(2026, 11, 23, 8, 0, 0)


class SweepMaker:
    """A study in a journal that trials are added to; `finish` writes what the engine writes after each of them."""

    def __init__(
        self,
        folder: Path,
        metrics: Sequence[str] = ("val/accuracy",),
        directions: Sequence[str] = ("maximize",),
        name: str = "tinyvgg",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.metrics, self.directions, self.name = folder, list(metrics), list(directions), name
        backend = optuna.storages.journal.JournalFileBackend(str(folder / "study.journal"))
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(
            study_name=name, storage=optuna.storages.JournalStorage(backend), directions=list(directions)
        )
        optuna.logging.set_verbosity(verbosity)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.set_metric_names(list(metrics))
        self.clock = START

    def trial(
        self,
        params: Mapping[str, Any],
        value: float | Sequence[float] | None = None,
        state: str = "COMPLETE",
        *,
        reports: Sequence[float] = (),
        seconds: float = 10.0,
        distributions: Mapping[str, BaseDistribution] | None = None,
        metrics: Mapping[str, Any] | None = None,
        started: datetime | None = None,
        **attributes: Any,
    ) -> int:
        """Add a trial and, with `metrics`, its metrics.json; return its number.

        Args:
            params: what was searched; values of other types than the distributions' make a distribution of their own.
            value: the outcome, one number or one for each objective.
            state: Optuna's name of the state.
            reports: values per epoch, from epoch 1.
            seconds: how long it ran.
            distributions: of the parameters; by default wide ones of the values' types.
            metrics: content of metrics.json.
            started: by default when the trial before it ended.
            **attributes: user attributes, None for none.
        """
        number = len(self.study.get_trials(deepcopy=False))
        started = started or self.clock
        self.clock = started + timedelta(seconds=seconds)
        is_finished = state in ("COMPLETE", "PRUNED", "FAIL")
        attributes = {"folder": str(number), "overrides": [f"{k}={_typed(v)}" for k, v in params.items()], **attributes}
        if is_finished:
            attributes.setdefault("seconds", seconds)
        values = [value] if isinstance(value, int | float) else value
        self.study.add_trial(
            FrozenTrial(
                number=number,
                state=TrialState[state],
                value=None,
                values=values,
                datetime_start=None if state == "WAITING" else started,
                datetime_complete=self.clock if is_finished else None,
                params=dict(params),
                distributions={k: (distributions or {}).get(k) or _distribution(v) for k, v in params.items()},
                user_attrs={k: v for k, v in attributes.items() if v is not None},
                system_attrs={},
                intermediate_values=dict(enumerate(map(float, reports), start=1)),
                trial_id=-1,
            )
        )
        if metrics is not None:
            path = self.folder / str(number) / "metrics.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(metrics), encoding="utf-8")
        return number

    def finish(self, **extra: Any) -> Path:
        """Write optimization_results.yaml, which is JSON and so also YAML; return the sweep folder."""
        results: dict[str, Any] = {
            "name": "optuna",
            "study_name": self.name,
            "storage": "study.journal",
            "metrics": self.metrics,
            "directions": self.directions,
        }
        complete = [t for t in self.study.get_trials(deepcopy=False) if t.state is TrialState.COMPLETE]
        if complete and len(self.metrics) == 1:
            best = self.study.best_trial
            results |= {"best_params": best.params, "best_value": best.value, "best_trial": best.number}
            words = " ".join(best.user_attrs.get("overrides", ()))
            results |= {"best_folder": str(best.number), "reproduce": f"python train.py {words}"}
            results |= {"retrain": f"python train.py {words} test=true"}
        (self.folder / "optimization_results.yaml").write_text(json.dumps(results | extra), encoding="utf-8")
        return self.folder


def _distribution(value: Any) -> BaseDistribution:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return CategoricalDistribution((value,))
    if isinstance(value, int):
        return IntDistribution(0, 10_000)
    return FloatDistribution(1e-6, 1e3, log=True)


def _typed(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
