"""Sets up a search from Hydra's config, runs it, and reports its result to the user."""

import signal
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import optuna
from hydra import version
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import CompactHydraException
from hydra.types import TaskFunction
from omegaconf import DictConfig, OmegaConf

from async_optuna.claim import Claim
from async_optuna.commands import config_flags, quoted, this_script
from async_optuna.constraints import Constraints
from async_optuna.distinct_sampler import DistinctSampler
from async_optuna.errors import is_told_in_one_line
from async_optuna.files import rights_of
from async_optuna.hydra_app.app_functions import app_function, run_prepare
from async_optuna.hydra_app.base_config import base_config
from async_optuna.hydra_app.checks import check_settings, check_space, study_name
from async_optuna.hydra_app.first_points import Baseline, first_points, to_compose, to_prepare
from async_optuna.hydra_app.job import HydraJob, TaskReference
from async_optuna.hydra_app.known_points import warm_start
from async_optuna.hydra_app.objectives import metric_names, objectives
from async_optuna.hydra_app.placement import build_executor, threads_override
from async_optuna.hydra_app.space_of_overrides import build_space, fixed_overrides
from async_optuna.hydra_app.stored_config import hide_passwords
from async_optuna.hydra_app.summary import announce, report, summary
from async_optuna.ledger import Ledger
from async_optuna.limits import Limits
from async_optuna.named_classes import build_pruner, sampler_factory
from async_optuna.outage import not_reached
from async_optuna.output import say
from async_optuna.passwords import message_without_passwords, without_passwords
from async_optuna.repeats import Repeats
from async_optuna.results import Results
from async_optuna.search import Search
from async_optuna.signals import Stopped
from async_optuna.slots import plan
from async_optuna.space import Space
from async_optuna.storage import JOURNAL
from async_optuna.study import kept_seed, open_study
from async_optuna.terminal import tell_what_takes_long

_PASSWORD_IS_SEEN = (
    "warning: hydra.sweeper.storage holds a password, which on a command line every user of this machine can read with "
    "ps; leave it out, and keep it in ~/.pgpass or PGPASSWORD or in the file that MySQL's read_default_file names"
)


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
        line = str(error) if is_told_in_one_line(error) else not_reached(error)
        if not line:
            raise
        raise CompactHydraException(message_without_passwords(line)) from error
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
    if without_passwords(storage) != storage:
        say(_PASSWORD_IS_SEEN)
    metric, directions = objectives(config)
    pruner = build_pruner(_plain(settings.pruner))
    make_sampler, seed = sampler_factory(_plain(settings.sampler) or {"_target_": "TPESampler"})
    constraints = Constraints.of(_plain(settings.constraints), str(settings.sampler.get("_target_")))
    slots = plan(settings.n_jobs, settings.workers_per_gpu, settings.gpus_per_trial)
    limits = Limits(**{field.name: settings[field.name] for field in fields(Limits)})
    limits.check(len(directions))
    sweep_dir = Path(config.hydra.sweep.dir).absolute()
    check_settings(config, directions, has_pruner=pruner is not None, sweep_dir=sweep_dir)
    job = HydraJob(
        task=TaskReference.of(task_function) or task_function,
        config_loader=config_loader,
        config=config,
        version_base=version.getbase(),
        script=sys.argv[0],
        flags=config_flags(sys.argv[1:]),
    )
    parser = OverridesParser.create(config_loader=config_loader)
    arguments = [*arguments, *threads_override(settings, parser.parse_overrides(arguments), slots)]
    baseline = Baseline(job, fixed_overrides(settings.params, arguments, parser))
    space = build_space(settings.params, settings.conditional, arguments, parser, baseline.text)
    extend = app_function("custom_search_space", settings.custom_search_space)
    check_space(config, space, is_grid=make_sampler is None, is_extended=extend is not None)
    if not space.every_parameter() and make_sampler is None:
        make_sampler, seed = sampler_factory({"_target_": "RandomSampler"})  # a grid of nothing has no points
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
        name=study_name(settings, sweep_dir),
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
    study.sampler = DistinctSampler(make_sampler, seed, space, ledger.is_seen, ledger.num_choosing_before)
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
    announce(ledger, executor, names, directions)
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


def _job_overrides(settings: DictConfig, claim: Claim) -> list[str]:
    if not settings.restart_key or claim.restart_from is None or not claim.restart_from.is_dir():
        return claim.overrides
    return [*claim.overrides, f"{settings.restart_key}={quoted(str(claim.restart_from))}"]


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
