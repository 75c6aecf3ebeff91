"""The settings of `hydra/sweeper=async_optuna`; the keys of hydra-optuna-sweeper keep their meaning and default."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

_PROVIDER = "async_optuna_sweeper"


@dataclass
class AsyncOptunaSweeperConf:
    """Settings of a search."""

    _target_: str = "hydra_plugins.async_optuna_sweeper.async_optuna_sweeper.AsyncOptunaSweeper"
    _recursive_: bool = False  # sampler and pruner stay configs: each process builds its own
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "tpe"}, {"pruner": "none"}])

    sampler: Any = MISSING
    pruner: Any = MISSING
    # minimize, maximize, or a list of them: then the task returns as many numbers. null: that of the app's keys
    # `monitor` and `mode` where it has them, else minimize.
    direction: Any = None
    # The names of the objectives, for reports. null: the app's `monitor`, if the direction comes from its `mode` too.
    metric: Any = None
    # null: a journal in the sweep folder; else an Optuna URL or a storage's _target_ and arguments. Passwords are best
    # left to ~/.pgpass, PGPASSWORD or MySQL's read_default_file.
    storage: Any = None
    # How long a study that cannot be reached (a database that restarts or is locked, a full disk) is tried again, while
    # running trials go on, before the search ends.
    storage_patience_seconds: float = 600.0
    # How long a search on another machine may give no sign of life until its trials are run again. It gives three in
    # that time.
    dead_after_seconds: float = 90.0
    study_name: str | None = None
    # Finished trials to reach, over all calls and processes.
    n_trials: int = 20
    # Trials at once; auto: one per GPU, without GPUs one per core.
    n_jobs: Any = 2
    workers_per_gpu: int = 1
    gpus_per_trial: int = 1
    max_failure_rate: float = 0.0
    # How often a trial is run again whose process died, or that failed for a reason outside it, such as missing data.
    max_retries: int = 2
    # true: run the points of failed trials again, from the beginning, before any others.
    retry_failed: bool = False
    # After so many seconds no further trial is started; those that run go on to their end.
    timeout_seconds: float | None = None
    # A trial that takes longer is ended as failed. null or 0: it may take as long as it likes while it is not silent.
    trial_timeout_seconds: float | None = None
    # A trial that reports nothing for so long is ended as failed. null: 20 times as long as it was silent before, or
    # others before their first report, but 10 minutes at least (an hour before its first report). 0: never.
    no_report_seconds: float | None = None
    # No further trial is started once so many in a row were not better than the best before them. null: no limit.
    patience: int | None = None
    # No further trial is started once all trials, those of earlier calls too, have taken so many hours together.
    budget_hours: float | None = None
    # What a trial reports after, for those who watch the search.
    step_name: str = "step"
    # Runs of each point, with a seed of its own each. Together they are one trial, whose value is their mean.
    repeats: int = 1
    # The limits to metrics that the task sets: {metric: the largest value allowed}, or {metric: ">=0.9"}. Only a trial
    # within all of them can be the best.
    constraints: Any = None
    # The search space: a key of the config and Hydra's sweep syntax, or a fixed value.
    params: dict[str, Any] = field(default_factory=dict)
    # {"key=value": {params that exist only then}}.
    conditional: dict[str, Any] = field(default_factory=dict)
    # Dotted path of a function (config, trial) that suggests more.
    custom_search_space: str | None = None
    # Points to run first: a list of {key: value}; keys left out keep the config's value.
    enqueue: list[Any] = field(default_factory=list)
    enqueue_defaults: bool = False
    # Another search whose finished trials the sampler is to know: its sweep folder, <storage URL>/<study name> or
    # leaderboard.csv. They count for nothing else, and those outside the space are left out.
    warm_start: Any = None
    # Modules that the process from which trials are forked imports once.
    preload: list[str] = field(default_factory=list)

    # --- What an app may plug in ---
    # Dotted path of a function that sees the composed config before the search: it may complete or refuse it.
    complete: str | None = None
    # Dotted path of a function that sees the config of each choice before the first trial, and pins the data.
    prepare: str | None = None
    # Dotted path of a function that draws up a report of the sweep folder and returns its text. If it has an argument
    # `study`, it is given Optuna's study too.
    report: str | None = None
    # The key through which the app takes its number of CPU threads.
    threads_key: str | None = None
    # The key through which the app takes the seed of a run, for repeats.
    seed_key: str | None = None
    # The key through which a trial that is run again is given its predecessor's folder.
    restart_key: str | None = None
    # Keys of fixed overrides that may differ between calls on one study.
    may_differ: list[str] = field(default_factory=list)
    # Whether a study goes on although the config that all its trials share was edited since it began.
    accept_changes: bool = False
    # Overrides that make a full training of the best trial.
    retrain: list[str] = field(default_factory=list)


# Arguments left at null keep Optuna's own defaults; they are listed so that they can be set without a `+`.
_SAMPLERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "tpe": (
        "TPESampler",
        (
            "seed",
            "n_startup_trials",
            "n_ei_candidates",
            "multivariate",
            "group",
            "constant_liar",
            "prior_weight",
            "consider_endpoints",
            "consider_prior",
            "consider_magic_clip",
            "warn_independent_sampling",
        ),
    ),
    "random": ("RandomSampler", ("seed",)),
    "grid": ("GridSampler", ("seed",)),
    "gp": ("GPSampler", ("seed", "n_startup_trials", "deterministic_objective")),
    "qmc": ("QMCSampler", ("seed", "qmc_type", "scramble")),
    "bruteforce": ("BruteForceSampler", ("seed",)),
    "cmaes": ("CmaEsSampler", ("seed", "x0", "sigma0", "n_startup_trials", "consider_pruned_trials")),
    "nsgaii": ("NSGAIISampler", ("seed", "population_size", "mutation_prob", "crossover_prob", "swapping_prob")),
    "nsgaiii": ("NSGAIIISampler", ("seed", "population_size", "mutation_prob", "crossover_prob", "swapping_prob")),
}

_PRUNERS: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "none": (None, ()),
    "median": ("MedianPruner", ("n_startup_trials", "n_warmup_steps", "interval_steps", "n_min_trials")),
    "percentile": ("PercentilePruner", ("n_startup_trials", "n_warmup_steps", "interval_steps")),
    "hyperband": ("HyperbandPruner", ("min_resource", "max_resource", "reduction_factor", "bootstrap_count")),
    "successive_halving": (
        "SuccessiveHalvingPruner",
        ("min_resource", "reduction_factor", "min_early_stopping_rate", "bootstrap_count"),
    ),
    "patient": ("PatientPruner", ("wrapped_pruner", "patience", "min_delta")),
    "wilcoxon": ("WilcoxonPruner", ("p_threshold", "n_startup_steps")),
    "threshold": ("ThresholdPruner", ("lower", "upper", "n_warmup_steps", "interval_steps")),
}

# Optuna has none for the first two; its guess of min_resource takes the first trial's length, which is short here.
_PRUNER_DEFAULTS: dict[str, dict[str, Any]] = {
    "percentile": {"percentile": 25.0},
    "patient": {"wrapped_pruner": {"_target_": "optuna.pruners.MedianPruner"}, "patience": 2},
    "successive_halving": {"min_resource": 1, "reduction_factor": 3},
    "hyperband": {"min_resource": 1},
}


def register() -> None:
    store = ConfigStore.instance()
    store.store(group="hydra/sweeper", name="async_optuna", node=AsyncOptunaSweeperConf, provider=_PROVIDER)
    for name, (cls, arguments) in _SAMPLERS.items():
        node: dict[str, Any] = {"_target_": f"optuna.samplers.{cls}"} | dict.fromkeys(arguments)
        store.store(group="hydra/sweeper/sampler", name=name, node=node, provider=_PROVIDER)
    for pruner, (pruner_cls, arguments) in _PRUNERS.items():
        target = f"optuna.pruners.{pruner_cls}" if pruner_cls else None
        node = {"_target_": target} | dict.fromkeys(arguments)
        node |= _PRUNER_DEFAULTS.get(pruner, {})
        store.store(group="hydra/sweeper/pruner", name=pruner, node=node, provider=_PROVIDER)


register()
