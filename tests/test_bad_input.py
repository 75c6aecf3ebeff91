"""Every mistake a user can make ends with one clear line, exit status 1 and no run folder left behind."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Finished

MISTAKES = {
    "model=tinyvg": "unknown model 'tinyvg': choose from .*linear.*did you mean tinyvgg",
    "data=mnis": "unknown data 'mnis': choose from .*did you mean mnist",
    "trainer=gpuu": "unknown trainer 'gpuu': choose from .*did you mean gpu",
    "augment=flop": "unknown augment 'flop': choose from affine, .*did you mean flip",
    "augment=photo augment.mixupp=1": "unknown key augment.mixupp: Photo has no such argument; did you mean mixup",
    "augment=mixup classifier.loss=MultiMarginLoss": "augment: mixup and cutmix mix labels, .* MultiMarginLoss",
    "modle=tinyvgg": "unknown key modle; did you mean model",
    "model.hiden_units=20": "unknown key model.hiden_units; did you mean model.hidden_units",
    "model=lenet5 model.hidden_units=20": "unknown key model.hidden_units",  # only: zoo
    "label=3": "unknown key label",
    "lr=0.1": r"unknown key lr; did you mean optimizer.lr\?$",
    "learning_rate=0.1": r"unknown key learning_rate; did you mean optimizer.lr\?$",
    "optimizer.learning_rate=0.1": "unknown key optimizer.learning_rate: .*; did you mean lr",
    "--model tinyvgg": "unknown flag --model: settings are written without dashes, model=tinyvgg$",
    "--lr=0.1": "unknown flag --lr: settings are written without dashes, optimizer.lr=0.1$",
    "model=linear,tinyvgg": "gives several values: with -m .*python train.py -m model=linear,tinyvgg",
    "model=resnet18": r"did you mean model=torchvision model.name=resnet18\?$",  # only: zoo
    # only: zoo
    "experiment=fast99 model=linear data.allow_subset=true": "unknown key model.widths: .*; experiment=fast99 is a "
    "recipe for model=compact_cnn and sets model.widths, .*: leave out model=linear or the experiment$",
    # end only
    "max_epochs=1": "unknown key max_epochs; did you mean trainer.max_epochs",
    "data.batch_size=abc": "data.batch_size: expected int or auto, got 'abc'",
    "data.batch_size=0": "batch_size must be at least 1, got 0",
    "data.batch_size=-3": "batch_size must be at least 1, got -3",
    "data.batch_size=512": "batch_size must be at most 256, .* training samples, got 512; data.batch_size=256 fits",
    "data.train_size=100000": "train_size must be at most 4000, the samples in that split, got 100000",
    "data.device=gpu": "data.device: expected auto or cpu, got 'gpu'",
    "data=emnist data.split=all": "data.split: expected digits or letters or balanced, got 'all'",  # only: zoo
    "data.allow_subset=false": "mnist is neither under .* nor can it be downloaded .*data.root=",
    "data=kmnist": "kmnist is neither under .* nor can it be downloaded",  # only: zoo
    "model.kernel_size=9 model.padding=0": r"layer .*Conv2d.*9, 9.* does not fit its input of 10x",
    "model.kernel_size=31": r"kernel_size=31 is larger than the data \(28x28\)",
    "model.num_blocks=9": "layer .*MaxPool2d.* does not fit its input of 10x1x1",
    "model.hidden_units=0": "hidden_units must be at least 1, got 0",
    "model.stride=2": "padding=same needs stride=1, got stride=2; use padding=1",
    "model.activation=rel": "activation must be .*did you mean relu",
    "model.norm=bach": "norm must be none, batch or group, got 'bach'",
    "model.dropout=1.5": "dropout must be at least 0 and less than 1, got 1.5",
    "model=torchvision model.name=resnet19": "no classifier 'resnet19'; did you mean resnet",  # only: zoo
    "optimizer=lion": "unknown optimizer 'lion': choose from adam, adamw, sgd",
    "optimizer.lrr=0.1": "unknown key optimizer.lrr: AdamW has no such argument; did you mean lr",
    "optimizer.lr=-1": "optimizer: Invalid learning rate: -1",
    "optimizer.lr=fast": "optimizer.lr: expected .*float.*, got 'fast'",
    "scheduler=step scheduler.step_sise=2": "unknown key scheduler.step_sise: StepLR .*did you mean step_size",
    "classifier.label_smoothing=2": "label_smoothing must be between 0 and 1, got 2",
    "trainer.max_epochs=-5": "trainer.max_epochs must be at least 1, or -1 for no end, got -5",
    "trainer.max_epochs=-1": r"a run without an end .* needs scheduler=none or scheduler=step",
    "trainer.devices=0": "trainer.devices on a CPU is the number of processes, at least 1, got 0",
    "trainer=ddp_cpu trainer.devices=[0,1]": r"the number of processes, at least 1, got \[0, 1\]",
    "trainer.max_epoch=3": "unknown key trainer.max_epoch: Trainer has no such argument; did you mean max_epochs",
    "trainer.gradient_clip_val=abc": "trainer.gradient_clip_val: expected .*float.*, got 'abc'",
    "trainer.precision=foo": "trainer: Precision 'foo' is invalid",
    "seed=-1": "seed must not be negative, got -1",
    "seed=abc": "seed: expected int, got 'abc'",
    "mode=up": "mode: expected min or max or null, got 'up'",
    "monitor=val/loss mode=max": "mode=max contradicts val/loss, the smaller the better; leave mode out",
    "callbacks=null": "callbacks=null names no choice: choose from default, .*ema.*; ~callbacks leaves the",
    "scheduler=null": "scheduler=null names no choice: choose from cosine, none, onecycle, plateau, step$",
    "~scheduler": "scheduler must be a config with a _target_, got None",
    "monitor=val/acc": "monitor must be one of val/accuracy, .*got 'val/acc'; did you mean val/accuracy",
    "resume=nowhere": "resume: .*nowhere is not a run folder",
    "hydra.run.dir=taken": "hydra.run.dir=taken already holds a run",
    "hydra.run.dir=a_file/run": "cannot use .*a_file.*: Not a directory; hydra.run.dir= names another folder",
    # only: sweep
    "sweep=tinyvgg hydra.sweeper.storage=mysql://u:ge(heim@h/d": r"cannot read hydra.sweeper.storage=mysql://u@h/d:",
    "sweep=tinyvgg hydra.sweeper.storage=mysql://u:ge,heim@h/d": r"hydra.sweeper.storage takes one value: quote",
    # end only
    "a b": "cannot read a b: every setting is written as key=value, without spaces around the =$",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_line_and_nothing_left(mistake: str, smoke: Callable[..., Finished], tmp_path: Path) -> None:
    (tmp_path / "taken/.hydra").mkdir(parents=True)
    (tmp_path / "a_file").touch()
    finished = smoke(*([mistake] if mistake == "a b" else mistake.split()))
    assert finished.status == 1
    lines = finished.err.splitlines()
    assert len(lines) == 1, finished.err
    assert re.search(f"^error: .*{MISTAKES[mistake]}", lines[0]), lines[0]
    assert finished.folder is None


# only: workbench
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("evaluate.py data.batch_size=3", "unknown key data.batch_size: evaluate.py takes run, split, .*; --help"),
        ("predict.py trainer.num_threads=1", "unknown key trainer.num_threads: predict.py takes run, images, "),
        ("evaluate.py data=mnist", "unknown key data; --help lists all keys$"),
        ("scripts/inspect_model.py experiment=tinyvgg_mnist", "unknown key experiment; --help lists all keys$"),
        ("scripts/inspect_model.py optimizer.lr=1", "unknown key optimizer.lr: inspect_model.py takes model, data, "),
    ],
)
def test_keys_of_another_command(words: str, message: str, command: Callable[..., Finished]) -> None:
    script, override = words.split()
    refused = command(script, override)
    assert refused.status == 1
    assert re.match(f"error: {message}", refused.err)
    assert refused.err.count("\n") == 1


# end only
