"""Ray Tune with Optuna's points on two CPUs, and restored if it was interrupted, as Ray's documentation shows it."""

import math
import os
from pathlib import Path

import optuna
import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch
from trial import SPACE, train


def objective(config: dict) -> None:
    tune.report({"accuracy": train(**config)})


folder = Path("ray_results").absolute()
variables = {name: os.environ[name] for name in ("PEERS_DATA", "PEERS_LOG", "PEERS_SPACE", "PYTHONPATH")}
ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": variables})
trainable = tune.with_resources(objective, {"cpu": 1})
if tune.Tuner.can_restore(str(folder / "peers")):
    tuner = tune.Tuner.restore(str(folder / "peers"), trainable, resume_unfinished=True, restart_errored=True)
else:
    space = {name: optuna.distributions.CategoricalDistribution(values) for name, values in SPACE.items()}
    sampler = optuna.samplers.GridSampler(SPACE, seed=0)
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(space, metric="accuracy", mode="max", sampler=sampler),
            num_samples=math.prod(map(len, SPACE.values())),
            max_concurrent_trials=2,
        ),
        run_config=tune.RunConfig(name="peers", storage_path=str(folder)),
    )
best = tuner.fit().get_best_result("accuracy", "max")
print(best.config, best.metrics["accuracy"])
