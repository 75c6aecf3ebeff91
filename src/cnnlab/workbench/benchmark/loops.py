"""Training loops written by hand: each runs so many steps and returns the seconds they took."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice, repeat
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader, Dataset

from cnnlab.data.audio_datamodule import AudioDataModule
from cnnlab.data.loading.normalisation import Normalise
from cnnlab.speed import hardware
from cnnlab.workbench.benchmark.bench import Bench
from cnnlab.workbench.benchmark.hand_written_samples import HandWrittenSamples
from cnnlab.workbench.benchmark.recorded_samples import RecordedSamples

Batches = Iterable[tuple[Tensor, Tensor]]


class Loop(NamedTuple):
    """What a loop trains with, and how.

    Attributes:
        batches: those of one epoch, anew with every call.
        read_accuracy: whether it looks at the predictions of every step.
    """

    model: nn.Module
    optimizer: Optimizer
    batches: Callable[[], Batches]
    precision: str
    read_accuracy: bool = False


def plain(bench: Bench, steps: int) -> float:
    """The loop that courses teach: samples one by one, eager float32, the accuracy read every step."""
    return _run(bench, plain_loop(bench), steps)


def careful(bench: Bench, steps: int) -> float:
    """uint8 tensors on the device, gathered and normalised a batch at a time; eager float32, contiguous."""
    return _run(bench, careful_loop(bench), steps)


def best(bench: Bench, steps: int) -> float:
    """The careful loop in channels_last, the fastest precision of the hardware, and with the fused optimizer."""
    return _run(bench, best_loop(bench), steps)


def plain_loop(bench: Bench) -> Loop:
    model = bench.model(channels_last=False)
    samples: Dataset[Any]
    if isinstance(bench.data, AudioDataModule):
        samples = RecordedSamples(bench.data)
    else:
        samples = HandWrittenSamples(bench.data, bench.config.augment)
    loader: DataLoader[Any] = DataLoader(samples, bench.batch_size, shuffle=True)
    optimizer = AdamW(model.parameters(), lr=bench.config.optimizer.lr)
    return Loop(model, optimizer, lambda: loader, "32-true", read_accuracy=True)


def careful_loop(bench: Bench) -> Loop:
    model = bench.model(channels_last=False)
    optimizer = AdamW(model.parameters(), lr=bench.config.optimizer.lr)
    return Loop(model, optimizer, partial(gathered, bench), "32-true")


def best_loop(bench: Bench) -> Loop:
    model = bench.model(channels_last=True)
    return Loop(model, _fused(bench, model), partial(gathered, bench), fastest_precision(bench))


def _run(bench: Bench, loop: Loop, steps: int) -> float:
    return train(bench, loop.model, loop.optimizer, loop.batches(), steps, loop.precision, loop.read_accuracy)


def floor(bench: Bench, steps: int) -> float:
    """One batch again and again, in the fastest layout and precision: the network's work alone."""
    model = bench.model(channels_last=True)
    batch = next(iter(bench.batches()))
    return train(bench, model, _fused(bench, model), repeat(batch), steps, fastest_precision(bench))


def bare(bench: Bench, steps: int) -> float:
    """The project's own batches, precision, layout, optimizer and threads, without a Trainer."""
    model = bench.model()
    return train(bench, model, bench.optimizer(model), bench.batches(), steps, bench.machine.precision)


def barebones(bench: Bench, steps: int) -> float:
    """Lightning's Trainer with everything off around the bare step: what the library alone costs."""
    step = _BareStep(bench.model(), bench.optimizer, bench.clock)
    trainer = Trainer(
        barebones=True,
        max_epochs=1,
        limit_train_batches=steps,
        accelerator=bench.machine.accelerator,
        devices=1,
        precision=bench.machine.precision,  # type: ignore[arg-type]
    )
    trainer.fit(step, bench.batches())
    return step.seconds


def gathered(bench: Bench) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of one epoch as a careful hand would write them; by then the data are on the device."""
    data = bench.data
    inputs, labels = data.training.inputs.to(bench.device), data.training.labels.to(bench.device)  # type: ignore[union-attr]
    normalise = Normalise(data.mean, data.std, data.scale, inputs.dim() - 2, bench.device)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for indices in torch.split(torch.randperm(len(labels)).to(bench.device), bench.batch_size):
            yield normalise(inputs[indices]), labels[indices]

    return batches()


def fastest_precision(bench: Bench) -> str:
    return hardware.resolve_precision("auto", bench.machine.accelerator)


def train(
    bench: Bench,
    model: Callable[..., Tensor],
    optimizer: Optimizer,
    batches: Batches,
    steps: int,
    precision: str,
    read_accuracy: bool = False,
) -> float:
    """Seconds of so many steps, or of all batches where they are fewer."""
    num_correct = 0
    began = bench.clock()
    for inputs, labels in islice(batches, steps):
        inputs, labels = inputs.to(bench.device), labels.to(bench.device)
        with bench.autocast(precision):
            logits = model(inputs)
            loss = functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if read_accuracy:
            num_correct += int((logits.argmax(dim=1) == labels).sum().item())
    return bench.clock() - began


def _fused(bench: Bench, model: nn.Module) -> Optimizer:
    return AdamW(model.parameters(), lr=bench.config.optimizer.lr, fused=True)


class _BareStep(LightningModule):
    """The least a LightningModule can be."""

    def __init__(
        self, model: nn.Module, optimizer: Callable[[nn.Module], Optimizer], clock: Callable[[], float]
    ) -> None:
        super().__init__()
        self.model, self.optimizer, self.clock = model, optimizer, clock
        self.seconds = 0.0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        inputs, labels = batch
        return functional.cross_entropy(self.model(inputs), labels)

    def configure_optimizers(self) -> Optimizer:
        return self.optimizer(self)

    def on_train_epoch_start(self) -> None:
        self.seconds -= self.clock()

    def on_train_epoch_end(self) -> None:
        self.seconds += self.clock()
