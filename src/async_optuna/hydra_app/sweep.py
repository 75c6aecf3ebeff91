"""Sets up a search from Hydra's config, runs it, and reports its result to the user."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
from hydra import version
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import CompactHydraException
from hydra.types import TaskFunction
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf

from async_optuna.commands import quoted, short_path, this_script
from async_optuna.distinct_sampler import DistinctSampler
from async_optuna.errors import SearchError, is_told_in_one_line, on_one_line
from async_optuna.executors import Executor, InlineExecutor, ProcessExecutor
from async_optuna.files import rights_of
from async_optuna.hydra_app.first_points import Baseline, first_points, to_compose, to_prepare
from async_optuna.hydra_app.job import HydraJob, TaskReference
from async_optuna.hydra_app.space_of_overrides import build_space, fixed_overrides
from async_optuna.ledger import Claim, Ledger
from async_optuna.named_classes import build_pruner, sampler_factory
from async_optuna.results import Results
from async_optuna.search import STOP_FILE, Limits, Search, Stopped
from async_optuna.slots import Slot, plan
from async_optuna.storage import JOURNAL
from async_optuna.study import open_study

_DIRECTIONS = ("minimize", "maximize")


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
        raise CompactHydraException(str(error)) from error
    except (Stopped, KeyboardInterrupt) as stop:  # the latter before the first trial, or after the last
        print(f"stopped; go on with: {this_script(sys.argv[1:])}", file=sys.stderr)
        sys.exit(128 + (stop.signum if isinstance(stop, Stopped) else signal.SIGINT))


def _run(config: DictConfig, config_loader: ConfigLoader, task_function: TaskFunction, arguments: list[str]) -> None:
    settings = config.hydra.sweeper
    complete = _function("complete", settings.complete)
    if complete is not None:
        complete(config)
    metric, directions = _objectives(config)
    pruner = build_pruner(_plain(settings.pruner))
    make_sampler, seed = sampler_factory(_plain(settings.sampler) or {"_target_": "TPESampler"})
    slots = plan(settings.n_jobs, settings.workers_per_gpu, settings.gpus_per_trial)
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
    arguments = [*arguments, *_threads(settings, parser.parse_overrides(arguments), slots)]
    baseline = Baseline(job, fixed_overrides(settings.params, arguments, parser))
    space = build_space(settings.params, settings.conditional, arguments, parser, baseline.text)
    extend = _function("custom_search_space", settings.custom_search_space)
    if not space.parameters and not any(branch.parameters for branch in space.branches) and extend is None:
        raise SearchError(
            "there is nothing to search: neither hydra.sweeper.params nor the command line gives any key several "
            "values, such as key=1,2,3 or key=interval(0,1)"
        )
    if make_sampler is None and space.size() is None:
        raise SearchError(
            "hydra/sweeper/sampler=grid needs a finite space: give choices or ranges instead of intervals"
        )
    enqueued = first_points(space, baseline, list(settings.enqueue), settings.enqueue_defaults)

    executor = _executor(job, slots, settings)

    def prepare(is_new: bool) -> dict[str, Any]:
        if is_new:
            for overrides in to_compose(space, baseline):
                job.compose(overrides)
        if not settings.prepare:
            return {}
        points = list(to_prepare(space, baseline))
        pins: dict[str, Any] | None = executor.call(_prepare, settings.prepare, job, points if is_new else points[:1])
        return pins or {}

    metric_names = _metric_names(metric, directions)
    study = open_study(
        sweep_dir,
        storage=_plain(settings.storage),
        name=_study_name(settings, sweep_dir),
        directions=directions,
        metric_names=metric_names,
        pruner=pruner,
        spec=space.description(),
        may_differ=[*settings.may_differ, settings.threads_key or ""],
        prepare=prepare,
    )
    OmegaConf.save(config, sweep_dir / "multirun.yaml")
    ledger = Ledger(
        study,
        space,
        sweep_dir,
        settings.n_trials,
        settings.max_retries,
        is_shared=settings.storage is not None,
        extend=(lambda trial: extend(config, trial)) if extend else None,
    )
    study.sampler = DistinctSampler(make_sampler, seed, space, ledger.is_seen)
    ledger.enqueue(enqueued)
    results = Results(
        ledger,
        storage=JOURNAL if settings.storage is None else str(settings.storage),
        metric_names=metric_names,
        left_out=["sweep"],
        retrain=list(settings.retrain),
        flags=job.flags,
    )
    limits = Limits(settings.timeout_seconds, settings.max_failure_rate)
    search = Search(ledger, executor, results, limits, lambda claim, slot: _job_overrides(settings, claim))
    _announce(ledger, executor, settings, metric_names, directions)
    try:
        search.run()
    except Stopped:
        print(_summary(ledger, results))
        raise
    _report(settings, ledger, results)


def _study_name(settings: DictConfig, sweep_dir: Path) -> str:
    """The study's, or its folder's; where the folder is named after the study, a missing name is no name."""
    name = str(settings.study_name or sweep_dir.name)
    if name.lower() in ("none", "null"):
        raise SearchError("the study has no name: give hydra.sweeper.study_name=…, which also names its folder")
    return name


def _config_flags(arguments: Sequence[str]) -> tuple[str, ...]:
    """Those that choose the config, which a command for a single trial needs as well."""
    flags = []
    for index, argument in enumerate(arguments):
        flag, equals, _ = argument.partition("=")
        if flag in ("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd"):
            flags += [argument] if equals else [*arguments[index : index + 2]]
    return tuple(flags)


def _function(role: str, path: str | None) -> Callable[..., Any] | None:
    try:
        return get_method(path) if path else None
    except Exception as error:  # its module may raise anything
        raise SearchError(f"hydra.sweeper.{role}={path}: {on_one_line(error)}") from error


def _prepare(path: str, job: HydraJob, points: list[tuple[str, list[list[str]]]]) -> Any:
    """Let the app look at the configs of all choices; runs in a process of its own, which may load and use anything."""
    return get_method(path)((label, (_without_hydra(job.compose(one)) for one in several)) for label, several in points)


def _without_hydra(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _executor(job: HydraJob, slots: Sequence[Slot], settings: DictConfig) -> Executor:
    launcher = str(job.config.hydra.launcher["_target_"]).rpartition(".")[2]
    if launcher != "BasicLauncher":
        print(f"note: {launcher} is not used, trials run in processes of this machine")
    if not isinstance(job.task, TaskReference):
        print("note: no other process can import this task, so trials run one by one in this one")
    elif "forkserver" not in multiprocessing.get_all_start_methods():
        print("note: this system cannot fork, so trials run one by one; Linux, macOS or WSL run several at once")
    else:
        preload = ["async_optuna.hydra_app.job", *settings.preload]
        return ProcessExecutor(job, slots, preload, job.bound)
    return InlineExecutor(job)


def _threads(settings: DictConfig, given: Sequence[Override], slots: Sequence[Slot]) -> list[str]:
    """Each trial's share of the cores, as an override, unless the user has given one."""
    key = settings.threads_key
    names = [*(str(name).lstrip("+") for name in settings.params), *(override.key_or_group for override in given)]
    if not key or key in names:
        return []
    return [f"{key}={slots[0].num_threads}"]


def _job_overrides(settings: DictConfig, claim: Claim) -> list[str]:
    if not settings.restart_key or claim.restart_from is None or not claim.restart_from.is_dir():
        return claim.overrides
    return [*claim.overrides, f"{settings.restart_key}={quoted(str(claim.restart_from))}"]


def _check(config: DictConfig, directions: Sequence[str], has_pruner: bool, sweep_dir: Path) -> None:
    settings = config.hydra.sweeper
    if settings.n_trials < 1:
        raise SearchError(f"hydra.sweeper.n_trials must be at least 1, got {settings.n_trials}")
    if not 0 <= settings.max_failure_rate <= 1:
        raise SearchError(f"hydra.sweeper.max_failure_rate must be between 0 and 1, got {settings.max_failure_rate}")
    if settings.timeout_seconds is not None and settings.timeout_seconds <= 0:
        raise SearchError(f"hydra.sweeper.timeout_seconds must be positive, got {settings.timeout_seconds}")
    if has_pruner and len(directions) > 1:
        raise SearchError(
            "a pruner compares one number, but there are several objectives; use hydra/sweeper/pruner=none"
        )
    if (sweep_dir / STOP_FILE).exists():
        raise SearchError(f"{sweep_dir / STOP_FILE} asks every search here to stop; remove it to go on")
    folder = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    if settings.storage is None and isinstance(folder, dict) and "${now:" in str(folder["dir"]):
        print("note: the sweep folder's name holds the time, so this search cannot be resumed; set hydra.sweep.dir")


def _objectives(config: DictConfig) -> tuple[Any, list[str]]:
    """The names of the objectives, as far as they are known, and the direction of each."""
    settings = config.hydra.sweeper
    if settings.direction is None:
        if not isinstance(config.get("monitor"), str) or "mode" not in config:
            return settings.metric, ["minimize"]
        if config.mode not in ("min", "max"):
            raise SearchError(
                f"mode={config.mode} does not say in which direction {config.monitor} is to go; "
                "give mode=min, mode=max or hydra.sweeper.direction"
            )
        return settings.metric or config.monitor, [f"{config.mode}imize"]
    given = list(settings.direction) if OmegaConf.is_list(settings.direction) else [settings.direction]
    directions = [str(getattr(one, "name", one)).lower() for one in given]
    for one in directions or ["nothing"]:
        if one not in _DIRECTIONS:
            raise SearchError(f"hydra.sweeper.direction must be minimize or maximize, or a list of them, got {one}")
    return settings.metric, directions


def _metric_names(metric: Any, directions: Sequence[str]) -> list[str]:
    names, count = list(metric) if OmegaConf.is_list(metric) else [metric] if metric else [], len(directions)
    if not names:
        names = ["value"] if count == 1 else [f"value {number}" for number in range(1, count + 1)]
    if len(names) != count:
        raise SearchError(f"hydra.sweeper.metric names {len(names)} objectives, hydra.sweeper.direction {count}")
    return [str(name) for name in names]


def _announce(
    ledger: Ledger, executor: Executor, settings: DictConfig, metric_names: Sequence[str], directions: Sequence[str]
) -> None:
    slots = executor.slots
    where = f"{len(slots)} at once" if len(slots) > 1 else "one by one"
    if slots[0].gpus:
        where += ", on GPUs " + " ".join(",".join(slot.gpus) for slot in slots)
    elif isinstance(executor, ProcessExecutor):
        where += f", {slots[0].num_threads} CPU thread{'s' * (slots[0].num_threads > 1)} each"
    done = f", {ledger.counts.finished} already done" if ledger.counts.finished else ""
    print(f"study   {ledger.study.study_name}: {settings.n_trials} trials{done}; {where}")
    goals = [f"{one} {name}" for one, name in zip(directions, metric_names, strict=True)]
    print(f"goal    {', '.join(goals)}")
    print(f"folder  {short_path(ledger.sweep_dir)}", flush=True)


def _report(settings: DictConfig, ledger: Ledger, results: Results) -> None:
    if not settings.report:
        print(_summary(ledger, results))
        return
    print("\n" + get_method(settings.report)(ledger.sweep_dir))


def _summary(ledger: Ledger, results: Results) -> str:
    content = results.content()
    counts = content["counts"]
    lines = [
        f"{counts['complete']} complete, {counts['pruned']} pruned, {counts['failed']} failed; "
        f"{short_path(ledger.sweep_dir)}"
    ]
    if "best_value" in content:
        point = " ".join(f"{name}={value}" for name, value in content["best_params"].items())
        lines.append(f"best    trial {content['best_trial']}: {content['best_value']:.6g} with {point}")
        lines.append(f"repeat  {content['reproduce']}")
    elif "solutions" in content:
        lines.append(f"best    {len(content['solutions'])} trials that no other beats in every objective:")
        lines += [
            f"        trial {one['trial']}: {', '.join(f'{value:.6g}' for value in one['values'])}"
            for one in content["solutions"]
        ]
    return "\n".join(lines)


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
