"""Sets up a search from Hydra's config, runs it, and reports its result to the user."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import optuna
from hydra import version
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import CompactHydraException
from hydra.types import TaskFunction
from omegaconf import DictConfig, OmegaConf

from async_optuna.commands import quoted, this_script
from async_optuna.constraints import Constraints
from async_optuna.distinct_sampler import DistinctSampler
from async_optuna.errors import SearchError, is_told_in_one_line
from async_optuna.files import rights_of
from async_optuna.hydra_app.app_functions import app_function, run_prepare
from async_optuna.hydra_app.base_config import base_config
from async_optuna.hydra_app.first_points import Baseline, first_points, to_compose, to_prepare
from async_optuna.hydra_app.job import HydraJob, TaskReference
from async_optuna.hydra_app.known_points import warm_start
from async_optuna.hydra_app.objectives import metric_names, objectives
from async_optuna.hydra_app.placement import build_executor, threads_override
from async_optuna.hydra_app.space_of_overrides import build_space, fixed_overrides
from async_optuna.hydra_app.stored_config import hide_passwords
from async_optuna.hydra_app.summary import announce, report, summary
from async_optuna.ledger import Claim, Ledger
from async_optuna.limits import STOP_FILE, Limits
from async_optuna.named_classes import build_pruner, sampler_factory
from async_optuna.output import say
from async_optuna.passwords import without_passwords
from async_optuna.repeats import Repeats
from async_optuna.results import Results
from async_optuna.search import Search
from async_optuna.signals import Stopped
from async_optuna.slots import plan
from async_optuna.space import ENUMERABLE, Space
from async_optuna.storage import JOURNAL
from async_optuna.study import kept_seed, open_study
from async_optuna.terminal import tell_what_takes_long

# Hydra's own name for the folder of a job.
_SUBDIR = "${hydra.job.num}"


def sweep(config: DictConfig, config_loader: ConfigLoader, task_function: TaskFunction, arguments: list[str]) -> None:
    """Run a search to its end.

    Raises:
        CompactHydraException: for bad settings, or if too many trials failed; in one line.
        SystemExit: with 128 + the signal's number after Ctrl-C, SIGTERM or SIGHUP.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with rights_of(Path(config.hydra.sweep.dir).absolute()):
            _run(config, config_loader, task_function, arguments)
    except Exception as error:
        if not is_told_in_one_line(error):
            raise
        raise CompactHydraException(without_passwords(str(error))) from error
    except (Stopped, KeyboardInterrupt) as stop:  # the latter before the first trial, or after the last
        say(f"stopped; go on with: {this_script(sys.argv[1:])}", to_errors=True)
        sys.exit(128 + (stop.signum if isinstance(stop, Stopped) else signal.SIGINT))


def _run(config: DictConfig, config_loader: ConfigLoader, task_function: TaskFunction, arguments: list[str]) -> None:
    settings = config.hydra.sweeper
    complete = app_function("complete", settings.complete)
    if complete is not None:
        complete(config)
    storage, source = _plain(settings.storage), _plain(settings.warm_start)
    hide_passwords(config)
    metric, directions = objectives(config)
    pruner = build_pruner(_plain(settings.pruner))
    make_sampler, seed = sampler_factory(_plain(settings.sampler) or {"_target_": "TPESampler"})
    constraints = Constraints.of(_plain(settings.constraints), str(settings.sampler.get("_target_")))
    slots = plan(settings.n_jobs, settings.workers_per_gpu, settings.gpus_per_trial)
    limits = Limits(**{field.name: settings[field.name] for field in fields(Limits)})
    limits.check(len(directions))
    sweep_dir = Path(config.hydra.sweep.dir).absolute()
    _check(config, directions, has_pruner=pruner is not None, sweep_dir=sweep_dir)
    job = HydraJob(
        task=TaskReference.of(task_function) or task_function,
        config_loader=config_loader,
        config=config,
        version_base=version.getbase(),
        script=sys.argv[0],
        flags=_config_flags(sys.argv[1:]),
    )
    parser = OverridesParser.create(config_loader=config_loader)
    arguments = [*arguments, *threads_override(settings, parser.parse_overrides(arguments), slots)]
    baseline = Baseline(job, fixed_overrides(settings.params, arguments, parser))
    space = build_space(settings.params, settings.conditional, arguments, parser, baseline.text)
    extend = app_function("custom_search_space", settings.custom_search_space)
    if not space.every_parameter() and extend is None:
        if not _has_its_own_n_trials(config):
            raise SearchError(
                "there is nothing to search: neither hydra.sweeper.params nor the command line gives any key several "
                "values, such as key=1,2,3 or key=interval(0,1); hydra.sweeper.n_trials=3 runs the same config 3 times"
            )
        make_sampler, seed = sampler_factory({"_target_": "RandomSampler"})  # there is nothing to choose
    if make_sampler is None and space.size() is None:
        raise SearchError(
            "hydra/sweeper/sampler=grid needs a finite space: give choices or ranges instead of intervals, "
            f"{ENUMERABLE} points at most"
        )
    searched = [parameter.name.lstrip("+") for parameter in space.every_parameter()]
    first_seed = baseline.text(settings.seed_key) if settings.seed_key else None
    repeats = Repeats.of(settings.repeats, settings.seed_key, first_seed, searched)
    if note := repeats.check_pruner(pruner):
        say(note)
    enqueued = first_points(space, baseline, list(settings.enqueue), settings.enqueue_defaults)

    executor = build_executor(job, slots, settings)

    tell_what_takes_long("loading the app for the trials, checking configs and data")

    def prepare(is_new: bool) -> dict[str, Any]:
        if is_new:
            for overrides in to_compose(space, baseline):
                job.compose(overrides)
        if not settings.prepare:
            return {}
        points = list(to_prepare(space, baseline))
        points = points if is_new else points[:1]
        pins: dict[str, Any] | None = executor.call(run_prepare, settings.prepare, job, points)
        return pins or {}

    names = metric_names(metric, directions)
    warm = warm_start(source, space, baseline, sweep_dir, directions, names) if source else None
    may_differ = [*settings.may_differ, settings.threads_key or ""]
    study = open_study(
        sweep_dir,
        storage=storage,
        name=_study_name(settings, sweep_dir),
        directions=directions,
        metric_names=names,
        pruner=pruner,
        spec=_specification(space, {**constraints.description(), **repeats.description()}),
        may_differ=may_differ,
        prepare=prepare,
        config=base_config(space, baseline, may_differ),
        accept_changes=settings.accept_changes,
    )
    OmegaConf.save(config, sweep_dir / "multirun.yaml")
    if warm is not None:
        warm.add_to(study, sweep_dir)
    ledger = Ledger(
        study,
        space,
        sweep_dir,
        settings.n_trials,
        settings.max_retries,
        is_shared=storage is not None,
        extend=(lambda trial: extend(config, trial)) if extend else None,
        dead_after_seconds=settings.dead_after_seconds,
        storage_patience_seconds=settings.storage_patience_seconds,
    )
    if make_sampler is not None:
        seed = kept_seed(study, seed)
        make_sampler = replace(make_sampler, seed=seed)
    study.sampler = DistinctSampler(make_sampler, seed, space, ledger.is_seen)
    ledger.enqueue(enqueued)
    if settings.retry_failed:
        say(f"{ledger.retry_failed()} failed trials run again")
    results = Results(
        ledger,
        storage=JOURNAL if storage is None else str(without_passwords(storage)),
        metric_names=names,
        left_out=["sweep"],
        retrain=list(settings.retrain),
        flags=job.flags,
        seed_key=repeats.key,
    )
    search = Search(
        ledger,
        executor,
        results,
        limits,
        lambda claim, slot: _job_overrides(settings, claim),
        constraints,
        settings.step_name,
        repeats,
    )
    announce(ledger, executor, settings, names, directions)
    try:
        search.run()
    except Stopped:
        say(summary(ledger, results))
        raise
    report(settings, ledger, results)


def _specification(space: Space, judged_by: dict[str, str]) -> dict[str, Any]:
    """What makes two calls the same search: the space, and the settings by which its trials are judged."""
    description = space.description()
    return {**description, "fixed": {**description["fixed"], **judged_by}}


def _study_name(settings: DictConfig, sweep_dir: Path) -> str:
    """The study's, or its folder's; where the folder is named after the study, a missing name is no name."""
    name = str(settings.study_name or sweep_dir.name)
    if name.lower() in ("none", "null"):
        raise SearchError("the study has no name: give hydra.sweeper.study_name=…, which also names its folder")
    return name


def _has_its_own_n_trials(config: DictConfig) -> bool:
    """Whether anybody has set the number of trials: without a space it tells repetitions from a forgotten space."""
    given = [str(line).partition("=")[0].lstrip("+") for line in config.hydra.overrides.hydra]
    default = ConfigStore.instance().load("hydra/sweeper/async_optuna.yaml").node.n_trials
    return "hydra.sweeper.n_trials" in given or bool(config.hydra.sweeper.n_trials != default)


def _config_flags(arguments: Sequence[str]) -> tuple[str, ...]:
    """Those that choose the config, which a command for a single trial needs as well."""
    flags = []
    for index, argument in enumerate(arguments):
        flag, equals, _ = argument.partition("=")
        if flag in ("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd"):
            flags += [argument] if equals else [*arguments[index : index + 2]]
    return tuple(flags)


def _job_overrides(settings: DictConfig, claim: Claim) -> list[str]:
    if not settings.restart_key or claim.restart_from is None or not claim.restart_from.is_dir():
        return claim.overrides
    return [*claim.overrides, f"{settings.restart_key}={quoted(str(claim.restart_from))}"]


def _check(config: DictConfig, directions: Sequence[str], has_pruner: bool, sweep_dir: Path) -> None:
    settings = config.hydra.sweeper
    if settings.n_trials < 1:
        raise SearchError(f"hydra.sweeper.n_trials must be at least 1, got {settings.n_trials}")
    if has_pruner and len(directions) > 1:
        raise SearchError(
            "a pruner compares one number, but there are several objectives; use hydra/sweeper/pruner=none"
        )
    if (sweep_dir / STOP_FILE).exists():
        raise SearchError(f"{sweep_dir / STOP_FILE} asks every search here to stop; remove it to go on")
    folder = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    assert isinstance(folder, dict)
    if folder["subdir"] != _SUBDIR:
        raise SearchError(
            f"hydra.sweep.subdir={folder['subdir']}: a search names each trial's folder after its number, by which it "
            f"finds it again; leave it at {_SUBDIR}"
        )
    if settings.storage is None and "${now:" in str(folder["dir"]):
        print("note: the sweep folder's name holds the time, so this search cannot be resumed; set hydra.sweep.dir")


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
