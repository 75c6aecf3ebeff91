"""Batches that worker processes read while the network computes, for data outside memory."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from cnnlab.data.augment import Augmentation, augmented
from cnnlab.data.lazy_samples import Batch, LazySamples, collate, difference, reader_arguments
from cnnlab.data.loading.normalisation import Normalise
from cnnlab.data.loading.tensor_loader import EpochOrder
from cnnlab.data.samples import TensorSamples
from cnnlab.errors import UserError


class WorkerLoader:
    """Iterates what TensorLoader iterates, in the same order, through an ordinary torch DataLoader.

    Workers read samples; what a dataset draws at random there follows from seed and epoch. A batch is moved to `device`
    as it is stored, and augmented and normalised there as a whole.

    Args:
        data: the samples, on the CPU.
        sampler: shuffles and drops the ragged last batch; None keeps the order and every sample.
        num_workers: processes; 0 reads in this one.
        like: a training sample (C, *spatial): all samples must have its shape and type.

    See TensorLoader for the other arguments.
    """

    def __init__(
        self,
        data: TensorSamples | LazySamples,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        scale: float = 1.0,
        sampler: EpochOrder | None = None,
        augment: Augmentation | None = None,
        num_workers: int = 0,
        device: torch.device | None = None,
        like: Tensor | None = None,
        num_classes: int = -1,
    ) -> None:
        self.data = data
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = None  # Lightning reads it where there is a sampler
        self.augment = augment
        self.num_classes = num_classes
        self.num_workers = num_workers
        self.device = device or torch.device("cpu")
        self.like = like
        self._normalisation = (tuple(mean), tuple(std), scale)

    def __len__(self) -> int:
        if self.sampler is not None:
            return self.sampler.num_samples // self.batch_size
        return -(-len(self.data) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        normalise: Normalise | None = None
        generator = self.sampler.generator(self.device) if self.sampler is not None else None
        for batch in self._reader():
            if isinstance(batch, UserError):
                raise UserError(
                    str(batch)
                )  # a new error: the received one would keep this loop and its batch in memory
            if batch is None:
                continue
            if self.like is not None and (problem := difference(batch[0][0], self.like)):
                raise UserError(str(problem))
            inputs, labels = (tensor.to(self.device, non_blocking=True) for tensor in batch)
            if self.augment is not None and generator is not None:
                inputs, labels = augmented(self.augment, inputs, labels, generator, self.num_classes)
            if normalise is None:
                normalise = Normalise(*self._normalisation, inputs.dim() - 2, self.device)
            yield normalise(inputs), labels

    def _reader(self) -> "DataLoader[Batch | UserError | None]":
        """Return a DataLoader for one epoch, so that its workers end with the epoch."""
        order = self.sampler
        return DataLoader(
            self.data,  # type: ignore[arg-type]
            self.batch_size,
            sampler=None if order is None else order.indices().tolist(),
            drop_last=order is not None,
            # Not the global generator: how data are read must not change the network's random numbers.
            generator=torch.Generator() if order is None else order.generator(torch.device("cpu")),
            collate_fn=collate,
            pin_memory=self.device.type == "cuda",
            **reader_arguments(self.num_workers),
        )
