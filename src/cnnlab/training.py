"""One training run, from a composed config to metrics.json; here all parts meet."""

import logging
from functools import partial
from pathlib import Path

from lightning.pytorch import LightningModule, seed_everything
from omegaconf import DictConfig

from cnnlab.batch_size import scaled_rate, settle_batch_size
from cnnlab.building import build_classifier, build_data, build_model, check_top_level
from cnnlab.callbacks.checkpoint import load_scored_weights
from cnnlab.colours import labelled
from cnnlab.data.datamodule import DataModule
from cnnlab.distributed.joining import join
from cnnlab.memory_format import settle_memory_format
from cnnlab.pretrained import load_pretrained  # only: zoo
from cnnlab.runs import failures, ranks, resuming, run_record, tracking
from cnnlab.runs.checkpoint_io import load_checkpoint
from cnnlab.runs.commands import short_path
from cnnlab.runs.end_table import end_table
from cnnlab.runs.quiet import quieten_libraries
from cnnlab.schedules import length_argument
from cnnlab.speed import hardware
from cnnlab.trainer import build_trainer, choose_hardware
from cnnlab.trial_metrics import set_trial_metrics  # only: sweep

log = logging.getLogger(__name__)


def train(config: DictConfig, run_dir: Path) -> run_record.Objective:
    """Train, test the best weights once, and write all results to `run_dir`; with config.resume continue the run there.

    Returns:
        The value of config.monitor at the best epoch, which is also what metrics.json holds; if config.objectives
        names several of its numbers, a list of those.

    Raises:
        UserError: for bad input, in one line.
        Interrupted: after Ctrl-C, SIGTERM or SIGHUP, with the command that continues the run.
    """
    is_first = ranks.is_first(config.trainer)
    quieten_libraries(is_first)
    check_top_level(config)
    if config.resume and (finished := resuming.finished(config, run_dir)):
        log.info("%s is finished; trainer.max_epochs= or trainer.max_steps= would extend it", short_path(run_dir))
        log.info(end_table(finished, run_dir, config))
        return run_record.objective(config, finished)
    seed_everything(config.seed, verbose=False)
    machine = choose_hardware(config.trainer)
    hardware.apply(machine)
    datamodule = build_data(config, machine.accelerator)
    model = build_model(config, datamodule.input_shape, datamodule.num_classes, datamodule.vocabulary)
    settle_memory_format(config, run_dir, model)
    classifier = build_classifier(config, model, datamodule)
    settle_batch_size(config, run_dir, machine, classifier, datamodule)
    last, steps_done = _where_to_go_on(config, run_dir, datamodule, classifier)
    # only: zoo
    if last is None:
        load_pretrained(config, model, datamodule)
    # end only
    trainer = build_trainer(config, run_dir, machine, classifier, steps_done)
    datamodule.check_processes(trainer.world_size)
    others = join(trainer, config, run_dir, partial(resuming.save_end, config, run_dir))
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    set_trial_metrics(config, {"num_parameters": num_parameters})  # only: sweep
    name = config.model.get("name", type(model).__name__)  # one class stands for all networks of another library
    log.info(labelled(f"model   {name}, {num_parameters:,} parameters"), extra={"in_grid": "once"})
    run_record.write_json(run_dir / "environment.json", run_record.environment(machine, datamodule.description()))
    shared = f", {trainer.world_size} processes" if trainer.world_size > 1 else ""
    log.info(labelled(f"device  {machine.device}, {machine.precision}{shared}"), extra={"in_grid": "once"})
    loggers = dict(zip(config.get("logger") or {}, trainer.loggers, strict=True))
    settings = run_record.hyperparameters(config, datamodule.dataset)
    explained = failures.explained(run_dir, datamodule.batch_size, scaled_rate(config, 0.5), is_first)
    with tracking.recorded(loggers, settings, run_dir), explained, others:
        trainer.fit(classifier, datamodule=datamodule, ckpt_path=last)
        scores = run_record.scores(trainer)
        if config.test:
            load_scored_weights(trainer)
            trainer.test(classifier, datamodule=datamodule, verbose=False)
            scores |= run_record.scores_of("test", trainer)
        metrics = {"dataset": datamodule.dataset, "model": type(model).__name__, **scores}
        metrics |= {"num_parameters": num_parameters, "batch_size": datamodule.batch_size}
        metrics |= {"seed": config.seed, "device": machine.device, "precision": machine.precision}
        run_record.log_outcome(trainer, metrics)
    run_record.write_time(trainer, datamodule, run_dir)
    run_record.write_json(run_dir / "metrics.json", metrics)
    set_trial_metrics(config, metrics, is_all=True)  # only: sweep
    log.info(end_table(metrics, run_dir, config), extra={"in_grid": "never"})
    return run_record.objective(config, metrics)


def _where_to_go_on(
    config: DictConfig, run_dir: Path, datamodule: DataModule, classifier: LightningModule
) -> tuple[Path | None, int]:
    """Return the checkpoint and the number of steps that a continued run has behind it; None and 0 for a new run."""
    last = resuming.checkpoint(config, run_dir)
    if last is None:
        return None, 0
    saved = load_checkpoint(last)
    fixed_length = length_argument(getattr(classifier, "scheduler", None)) is not None
    resuming.check(config, run_dir, datamodule.dataset, datamodule.checksums, fixed_length)
    if "data" in saved:
        datamodule.normalise_by(saved["data"]["mean"], saved["data"]["std"])
    end = f" of {config.trainer.max_epochs}" if config.trainer.max_epochs > 0 else ""
    log.info("going on after epoch %d%s", saved["epoch"] + 1, end)
    return last, saved["global_step"]
