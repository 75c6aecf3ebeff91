"""Collects the outputs of a network for every sample of a validation or a test."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

# The loss of each sample, (N,), by what the data hold.
_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "classes": partial(functional.cross_entropy, reduction="none"),
    "multilabel": lambda logits, labels: functional.binary_cross_entropy_with_logits(
        logits, labels, reduction="none"
    ).mean(dim=1),
    "values": lambda estimates, values: (estimates - values).square().mean(dim=1),
}


class Outputs(Callback):
    """Collect outputs and targets, and keep the samples with the largest loss and some chosen at random.

    The module's network must be its attribute `model`. If a step calls the network several times, for example on
    shifted copies, the output for the batch itself counts, or else the last output.

    Args:
        num_kept: how many samples of each kind to keep.
        seed: of the random choice, which is thus the same for every network.

    Attributes:
        logits: (N, num_classes) float32 on the CPU; of values their estimates.
        labels: (N,) int64 on the CPU; (N, num_classes) float32 of several labels at once and of values.
        seconds: the time of all steps, including reading the samples.
        most_wrong, random: see TopSamples.
    """

    def __init__(self, num_kept: int, seed: int) -> None:
        self.most_wrong, self.random = TopSamples(num_kept), TopSamples(num_kept)
        self.logits, self.labels = torch.empty(0), torch.empty(0, dtype=torch.int64)
        self.seconds = 0.0
        self._generator = np.random.default_rng(seed)
        self._outputs: list[tuple[Tensor, Tensor]] = []
        self._hook: RemovableHandle | None = None
        self._batches: list[tuple[Tensor, Tensor]] = []
        self._num_samples = 0
        self._began = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        model = pl_module.model
        assert isinstance(model, torch.nn.Module)
        self._hook = model.register_forward_hook(self._listen)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._hook is not None:
            self._hook.remove()

    def _listen(self, model: torch.nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> None:
        self._outputs.append((inputs[0], logits.detach().float()))

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._began = time.perf_counter()

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        inputs, labels = batch
        of_the_batch = [logits for batch_inputs, logits in self._outputs if batch_inputs is inputs]
        logits = of_the_batch[-1] if of_the_batch else self._outputs[-1][1]
        self._outputs.clear()
        losses = _LOSSES[getattr(getattr(trainer, "datamodule", None), "targets", "classes")](logits, labels)
        ranks = torch.from_numpy(self._generator.random(len(labels), dtype=np.float32))
        first = self._num_samples
        self.most_wrong.add(losses, inputs, first)
        self.random.add(ranks.to(inputs.device), inputs, first)
        self._batches.append((logits, labels))
        self._num_samples += len(labels)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logits, labels = zip(*self._batches, strict=True)
        self.logits, self.labels = torch.cat(logits).cpu(), torch.cat(labels).cpu()
        self.seconds = time.perf_counter() - self._began

    on_validation_start = on_test_start
    on_validation_batch_end = on_test_batch_end
    on_validation_end = on_test_end


class TopSamples:
    """Keeps the samples with the largest ranks of all that were added.

    Attributes:
        indices: (K,) int64, the samples' positions; largest rank first.
        inputs: (K, C, *spatial), as the network saw them.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.indices, self.inputs = torch.empty(0, dtype=torch.int64), torch.empty(0)
        self._ranks = torch.empty(0)

    def add(self, ranks: Tensor, inputs: Tensor, first: int) -> None:
        """Consider a batch whose first sample has the position `first`."""
        indices = torch.arange(first, first + len(ranks), device=ranks.device)
        if len(self.indices):
            ranks = torch.cat([self._ranks, ranks])
            indices = torch.cat([self.indices, indices])
        best = ranks.argsort(descending=True, stable=True)[: self.size]
        # Only the chosen samples are copied.
        known = len(self.inputs)
        self.inputs = torch.stack([self.inputs[i] if i < known else inputs[i - known] for i in best.tolist()])
        self._ranks, self.indices = ranks[best], indices[best]
