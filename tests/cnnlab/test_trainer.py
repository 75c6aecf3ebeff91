"""Each argument of Lightning's Trainer is taken, or what decides it here is named; callbacks learn their direction."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from lightning.pytorch import LightningModule, Trainer
from omegaconf import DictConfig

from cnnlab.building import check_top_level
from cnnlab.errors import UserError
from cnnlab.speed.hardware import Hardware
from cnnlab.trainer import build_trainer
from conftest import PROJECT, Finished


def config(*overrides: str) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return compose("train", ["logger=none", *overrides])


def built(folder: Path, *overrides: str) -> Trainer:
    composed = config(*overrides)
    check_top_level(composed)
    return build_trainer(composed, folder, Hardware("cpu", "32-true", "a CPU"), LightningModule())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+trainer.logger=false", "trainer.logger is not taken: logger=none, csv or tensorboard"),
        ("+trainer.callbacks=null", r"trainer.callbacks is not taken: .* \+callbacks.<name>._target_=<class> adds one"),
        ("+trainer.enable_checkpointing=false", "is not taken: ~callbacks.checkpoint leaves"),
        ("+trainer.enable_progress_bar=false", "is not taken: ~callbacks.progress leaves"),
        ("+trainer.enable_model_summary=true", "is not taken: the run's first lines name the network"),
        ("+trainer.default_root_dir=x", "is not taken: hydra.run.dir names the run folder"),
        ("+trainer.plugins=[]", "is not taken: trainer.precision and trainer.strategy"),
        ("+trainer.barebones=true", "is not taken: trainer.fast_loop=auto"),
        ("+trainer.fast_lop=true", "unknown key trainer.fast_lop: .* did you mean fast_loop"),
        ("+trainer.num_thread=1", "unknown key trainer.num_thread: .* did you mean num_threads"),
        ("+trainer.overfit_batches=1", "is not taken: trainer=overfit trains on one batch"),
        ("+trainer.profiler=simpel", "must be one of simple, advanced, pytorch, got 'simpel'; did you mean simple"),
        ("trainer.cuda_graph=true trainer.fast_loop=false", "trainer.cuda_graph=true needs trainer.fast_loop=auto"),
        ("+trainer.limit_train_batches=0", "trainer.limit_train_batches must not be 0"),
        ("+trainer.limit_train_batches=0.0", "trainer.limit_train_batches must not be 0"),
        ("+trainer.max_steps=0", "trainer.max_steps must not be 0"),
        ("+trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches must not be 0"),
        ("~trainer", "trainer must be a config, got none"),
        ("+callbacks.x._target_=lightning.pytorch.callbacks.BatchSizeFinder", "callbacks.x: BatchSizeFinder cannot be"),
        ("+callbacks.x._target_=lightning.pytorch.callbacks.LearningRateFinder", "LearningRateFinder cannot be used"),
        ("mode=min", "mode=min contradicts val/accuracy, the larger the better"),
        ("monitor=val/quality", "val/quality does not tell whether more or less of it is better; give mode=min or max"),
        (
            "callbacks=early_stopping +callbacks.early_stopping.mode=min",
            "callbacks.early_stopping.mode=min contradicts",
        ),
    ],
)
def test_refused_with_what_to_use_instead(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        built(tmp_path, *override.split())


def test_taken(tmp_path: Path) -> None:
    trainer = built(tmp_path, "+trainer.log_every_n_steps=7", "+trainer.profiler=simple", "+trainer.devices=1")
    assert trainer.log_every_n_steps == 7  # type: ignore[attr-defined]
    assert trainer.profiler.dirpath == tmp_path  # type: ignore[attr-defined]


def directions(trainer: Trainer) -> dict[str, str]:
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return {type(callback).__name__: callback.mode for callback in callbacks if hasattr(callback, "mode")}


STOP = "+callbacks.stop={_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: %s}"


@pytest.mark.parametrize(
    ("overrides", "checkpoint", "stopping"),
    [
        ([STOP % "val/accuracy"], "max", "max"),
        ([STOP % "val/loss"], "max", "min"),
        (["callbacks=early_stopping", "monitor=val/loss"], "min", "min"),
        (["callbacks=early_stopping", "callbacks.early_stopping.monitor=val/loss"], "max", "min"),
        (["monitor=val/quality", "mode=min", STOP % "${monitor}"], "min", "min"),
        (["monitor=val/loss", "mode=min", "+callbacks.checkpoint.mode=${mode}", STOP % "train/accuracy"], "min", "max"),
    ],
)
def test_every_callback_goes_the_way_of_what_it_watches(
    overrides: list[str], checkpoint: str, stopping: str, tmp_path: Path
) -> None:
    assert directions(built(tmp_path, *overrides)) == {"Checkpoint": checkpoint, "EarlyStopping": stopping}


@pytest.mark.gpu
@pytest.mark.parametrize("strategy", [[], ["trainer.strategy=ddp"]])
def test_more_gpus_than_there_are_are_refused_in_one_line(strategy: list[str], on_gpu: Callable[..., Finished]) -> None:
    run = on_gpu("trainer.devices=99", *strategy)
    assert run.status == 1
    (line,) = run.err.splitlines()
    assert line.startswith("error: ")
