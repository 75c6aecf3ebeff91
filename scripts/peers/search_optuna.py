"""Plain Optuna with two threads and a study in SQLite that is loaded again, as Optuna's documentation shows it."""

import optuna
from trial import SPACE, train


def objective(trial: optuna.Trial) -> float:
    return train(**{name: trial.suggest_categorical(name, values) for name, values in SPACE.items()})


study = optuna.create_study(
    study_name="peers",
    storage="sqlite:///study.db",
    sampler=optuna.samplers.GridSampler(SPACE, seed=0),
    direction="maximize",
    load_if_exists=True,
)
study.optimize(objective, n_jobs=2)  # the sampler ends the study after the last point of the grid
print(study.best_params, study.best_value)
