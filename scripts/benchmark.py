"""Compare this project's training with hand-written loops: ratios measured in one run, the variants taking turns.

    python scripts/benchmark.py                     all parts
    python scripts/benchmark.py overhead            what the Trainer with everything on costs a step
    python scripts/benchmark.py end_to_end          images/s against the loop that courses teach
    python scripts/benchmark.py --smoke             a few steps: does it work?

Every variant trains the same network from the same weights; each is warmed up, then all are timed in turn, and the
median of the repeats is printed with the smallest and largest. Tables go to outputs/bench/ as CSV and Markdown.

Loops: "plain" is what a course teaches (torchvision's dataset sample by sample through a DataLoader, eager float32,
accuracy read every step); "bare" runs the project's own batches, precision, memory layout and threads without a
Trainer; "barebones" runs them through Lightning's Trainer with everything off; "template" is what train.py runs, with
its callbacks, TensorBoard and schedule.
"""

import argparse
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch import LightningModule, Trainer
from omegaconf import DictConfig
from torch import nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from tqdm import tqdm

from cnnlab import hardware, training
from cnnlab.callbacks.throughput import Throughput
from cnnlab.data.datamodule import DataModule

PROJECT = Path(__file__).resolve().parents[1]
PARTS = ("overhead", "end_to_end")


def main() -> None:
    arguments = parse_arguments()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    repeats, steps = (1, 10) if arguments.smoke else (arguments.repeats, arguments.steps)
    out = Path("outputs/bench")
    out.mkdir(parents=True, exist_ok=True)
    for part in arguments.parts or PARTS:
        table = globals()[part](repeats, steps, arguments.overrides)
        table.to_csv(out / f"{part}.csv", index=False)
        text = markdown(table)
        (out / f"{part}.md").write_text(text + "\n", encoding="utf-8")
        print(f"\n{part}: {repeats} repeats of {steps} steps, {torch.get_num_threads()} CPU threads\n{text}")
    print(f"\nTables: {out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"any of {', '.join(PARTS)} (default all)")
    parser.add_argument("--repeats", type=int, default=7, help="times that each variant is timed (default 7)")
    parser.add_argument("--steps", type=int, default=200, help="training steps per repeat (default 200)")
    parser.add_argument("--smoke", action="store_true", help="one repeat of ten steps")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], help="an override for train.py's config"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(unknown)}: choose from {', '.join(PARTS)}")
    return arguments


def overhead(repeats: int, steps: int, overrides: list[str]) -> pd.DataFrame:
    """Microseconds per step of the template above the bare loop; a small net shows a cost that any net pays."""
    rows = []
    for model in ("linear", "tinyvgg"):
        bench = Bench([f"model={model}", *overrides], steps)
        loops = {"bare": bench.bare, "barebones": bench.barebones, "template": bench.template}
        seconds = take_turns(loops, repeats, f"overhead {model}")
        row = {"model": model, "batch": bench.batch_size, "bare ms/step": spread(seconds["bare"] / steps * 1e3, 3)}
        for name in ("barebones", "template"):
            row[f"{name}, ms/step more"] = spread((seconds[name] - seconds["bare"]) / steps * 1e3, 3)
        rows.append(row)
    return pd.DataFrame(rows)


def end_to_end(repeats: int, steps: int, overrides: list[str]) -> pd.DataFrame:
    """Images/s of the three loops, and the template's ratio to the plain one."""
    rows = []
    for model in ("tinyvgg", "lenet5"):
        bench = Bench([f"model={model}", *overrides], steps)
        loops = {"plain": bench.plain, "bare": bench.bare, "template": bench.template}
        seconds = take_turns(loops, repeats, f"end_to_end {model}")
        row = {"model": model, "batch": bench.batch_size, "precision": bench.machine.precision}
        for name in loops:
            row[f"{name} images/s"] = spread(steps * bench.batch_size / seconds[name], 0)
        row["template / plain"] = spread(seconds["plain"] / seconds["template"], 2)
        row["template / bare"] = spread(seconds["bare"] / seconds["template"], 2)
        rows.append(row)
    return pd.DataFrame(rows)


class Bench:
    """One configuration of train.py, and the loops that do the same work.

    Every loop is a method that runs `steps` training steps and returns the seconds they took.
    """

    def __init__(self, overrides: list[str], steps: int) -> None:
        self.steps = steps
        with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
            limits = ["trainer.max_epochs=1", f"+trainer.limit_train_batches={steps}", "+trainer.limit_val_batches=1"]
            self.config: DictConfig = compose("train", [*limits, *overrides])
        self.machine = hardware.choose(
            self.config.trainer.accelerator, self.config.trainer.precision, self.config.trainer.num_threads
        )
        self.device = torch.device(self.machine.accelerator)
        self.data: DataModule = training.build_data(self.config)
        self.batch_size: int = self.config.data.batch_size
        if steps * self.batch_size > len(self.data.training):
            sys.exit(f"--steps must be at most {len(self.data.training) // self.batch_size} for one pass, got {steps}")

    def template(self) -> float:
        """What train.py does with a run, timed by its own Throughput callback."""
        model = training.build_model(self.config, self.data.input_shape, self.data.num_classes)
        classifier = training.build_classifier(self.config, model, self.data)
        with tempfile.TemporaryDirectory() as folder:
            trainer = training.build_trainer(self.config, Path(folder), self.machine)
            trainer.fit(classifier, datamodule=self.data)
        (throughput,) = [callback for callback in trainer.callbacks if isinstance(callback, Throughput)]
        return throughput.train_seconds

    def bare(self) -> float:
        """The same batches, precision, layout, optimizer and threads in a loop of plain PyTorch."""
        model = training.build_model(self.config, self.data.input_shape, self.data.num_classes).to(self.device)
        optimizer = training.build(self.config, "optimizer")(model.parameters())
        use_bf16 = self.machine.precision == "bf16-mixed"
        began = self.clock()
        for inputs, labels in islice(self.data.train_dataloader(), self.steps):
            inputs, labels = inputs.to(self.device), labels.to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16) if use_bf16 else nullcontext():
                loss = functional.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return self.clock() - began

    def barebones(self) -> float:
        """Lightning's Trainer with everything off around the bare step: what the library alone costs."""
        model = training.build_model(self.config, self.data.input_shape, self.data.num_classes)
        step = BareStep(model, training.build(self.config, "optimizer"), self.clock)
        trainer = Trainer(
            barebones=True,
            max_epochs=1,
            limit_train_batches=self.steps,
            accelerator=self.machine.accelerator,
            devices=1,
            precision=self.machine.precision,
        )
        trainer.fit(step, self.data.train_dataloader())
        return step.seconds

    def plain(self) -> float:
        """The loop of a course: samples one by one, eager float32, accuracy every step."""
        model: nn.Module = training.build(
            self.config, "model", input_shape=self.data.input_shape, num_classes=self.data.num_classes
        ).to(self.device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.config.optimizer.lr)
        loader = DataLoader(Samples(self.data), batch_size=self.batch_size, shuffle=True)
        num_correct = 0
        began = self.clock()
        for inputs, labels in islice(loader, self.steps):
            inputs, labels = inputs.to(self.device), labels.to(self.device)
            logits = model(inputs)
            loss = functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            num_correct += (logits.argmax(dim=1) == labels).sum().item()
        return self.clock() - began

    def clock(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


class BareStep(LightningModule):
    """The least a LightningModule can be."""

    def __init__(self, model: nn.Module, optimizer: Callable[..., Optimizer], clock: Callable[[], float]) -> None:
        super().__init__()
        self.model, self.optimizer, self.clock = model, optimizer, clock
        self.seconds = 0.0

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        inputs, labels = batch
        return functional.cross_entropy(self.model(inputs), labels)

    def configure_optimizers(self) -> Optimizer:
        return self.optimizer(self.parameters())

    def on_train_epoch_start(self) -> None:
        self.seconds -= self.clock()

    def on_train_epoch_end(self) -> None:
        self.seconds += self.clock()


class Samples(Dataset):
    """The training images as torchvision's datasets give them: one Pillow image at a time, transformed one by one."""

    def __init__(self, data: DataModule) -> None:
        self.data = data.training
        self.to_image = transforms.ToPILImage()
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(data.mean, data.std)])

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.to_image(self.data.inputs[index])), int(self.data.labels[index])


def take_turns(loops: dict[str, Callable[[], float]], repeats: int, title: str) -> dict[str, pd.Series]:
    """Warm every loop up once, then time them in turn: A B C A B C …"""
    for loop in loops.values():
        loop()
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in tqdm(range(repeats), desc=title, disable=not sys.stderr.isatty()):
        for name, loop in loops.items():
            seconds[name].append(loop())
    return {name: pd.Series(values) for name, values in seconds.items()}


def spread(values: pd.Series, decimals: int) -> str:
    low, middle, high = (f"{value:,.{decimals}f}" for value in (values.min(), values.median(), values.max()))
    return f"{middle} ({low}–{high})"


def markdown(table: pd.DataFrame) -> str:
    rows = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).values.tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
