"""Batches cut from tensors in memory: gathered, augmented and normalised many samples at a time."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from cnnlab.data.augment import Augmentation, augmented
from cnnlab.data.loading.normalisation import Normalise
from cnnlab.data.samples import TensorSamples

# Work is done in chunks of several batches, small enough to stay in a core's cache, large enough that the cost of
# launching an operation is shared by many batches.
_CHUNK_BYTES = 4 * 2**20


def seed_for(*numbers: int) -> int:
    """Mix non-negative integers, here (seed, epoch), into one well-spread 63-bit seed, the same on every platform."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


class EpochOrder:
    """The order of the samples in each epoch: a pure function of (seed, epoch), whatever ran before.

    Lightning calls set_epoch on a loader's `sampler` before every epoch.

    Args:
        weights: (num_samples,); each of the epoch's samples is then drawn anew with these odds, so that some come
            several times and others not at all, as with torch's WeightedRandomSampler. None: each sample comes once.
    """

    def __init__(
        self, num_samples: int, seed: int, rank: int = 0, world_size: int = 1, weights: Tensor | None = None
    ) -> None:
        self.num_samples = num_samples // world_size
        self.total = num_samples
        self.weights = weights
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def generator(self, device: torch.device) -> Generator:
        """Return a fresh source of random numbers for this epoch's augmentation."""
        return torch.Generator(device).manual_seed(seed_for(self.seed, self.epoch, self.rank, 1))

    def indices(self) -> Tensor:
        generator = torch.Generator().manual_seed(seed_for(self.seed, self.epoch))
        if self.weights is None:
            order = torch.randperm(self.total, generator=generator)
        else:
            order = torch.multinomial(self.weights, self.total, replacement=True, generator=generator)
        return order[self.rank :: self.world_size][: self.num_samples]


class TensorLoader:
    """Iterates (inputs, labels): float32 (batch_size, C, *spatial) and int64 (batch_size,).

    An augmentation that mixes samples makes the labels float32 (batch_size, num_classes), see augment.augmented.

    Args:
        data: all samples, on the device where the batches are wanted.
        mean, std: per channel, subtracted and divided by after `scale`.
        scale: factor from stored to physical values, 1 / 255 for uint8 images.
        sampler: for training: shuffles, and drops the last batch if it is not full; None keeps order and all samples.
        augment: applied before normalisation, so that zero is still the background.
        num_classes: of the labels; needed only where samples are mixed.
    """

    def __init__(
        self,
        data: TensorSamples,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        scale: float = 1.0,
        sampler: EpochOrder | None = None,
        augment: Augmentation | None = None,
        num_classes: int = -1,
    ) -> None:
        self.data = data
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = None  # Lightning reads it where there is a sampler
        self.augment = augment
        self.num_classes = num_classes
        self._normalise = Normalise(mean, std, scale, data.inputs.dim() - 2, data.inputs.device)

    def __len__(self) -> int:
        if self.sampler is not None:
            return self.sampler.num_samples // self.batch_size
        return -(-len(self.data) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        device = self.data.inputs.device
        order = generator = None
        if self.sampler is not None:
            order = self.sampler.indices()[: len(self) * self.batch_size].to(device)
            generator = self.sampler.generator(device)
        num_samples = len(self.data) if order is None else len(order)
        chunk = self._samples_per_chunk()
        for start in range(0, num_samples, chunk):
            if order is None:
                inputs, labels = self.data.inputs[start : start + chunk], self.data.labels[start : start + chunk]
            else:
                indices = order[start : start + chunk]
                inputs, labels = self.data.inputs[indices], self.data.labels[indices]
            if self.augment is not None and generator is not None:
                inputs, labels = augmented(self.augment, inputs, labels, generator, self.num_classes)
            inputs = self._normalise(inputs)
            yield from zip(torch.split(inputs, self.batch_size), torch.split(labels, self.batch_size), strict=True)

    def _samples_per_chunk(self) -> int:
        bytes_per_sample = 4 * self.data.inputs[0].numel()
        return max(1, _CHUNK_BYTES // (bytes_per_sample * self.batch_size)) * self.batch_size
