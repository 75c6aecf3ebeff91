"""Samples that are read only when they are needed, so that a data set may be larger than memory."""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from cnnlab.data.files.memory import require_memory
from cnnlab.data.inputs import as_stored, kind, num_not_finite
from cnnlab.data.samples import LabelledSamples, TensorSamples
from cnnlab.errors import UserError, joined_errors

log = logging.getLogger(__name__)

_SAMPLES_PER_READ = 64

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class LazySamples(LabelledSamples):
    """Samples of any map-style dataset with their labels, read one by one when they are asked for.

    Attributes:
        dataset: dataset[i] is (input, …), where the input is a tensor or array (C, *spatial) or a Pillow image. It may
            be None for a sample that cannot be read and is to be left out.
        labels: (N,) int64, 0 to num_classes - 1, or float32 for values.
        indices: (N,) which samples of the dataset these are.
        arrange: changes the order of the values in each sample (C, *spatial).
    """

    dataset: Dataset[Any]
    labels: Tensor
    indices: Tensor
    arrange: Callable[[Tensor], Tensor] | None = None

    @classmethod
    def from_dataset(
        cls, dataset: Dataset[Any], labels: Sequence[int] | Sequence[Sequence[float]] | None = None
    ) -> "LazySamples":
        """Take all samples of a dataset. The labels are `labels`, else its attribute `targets`, else they are read."""
        if labels is None:
            labels = getattr(dataset, "targets", None)
        if labels is None:
            labels = [int(dataset[i][1]) for i in range(len(dataset))]  # type: ignore[arg-type]
        numbers = torch.as_tensor(labels)
        return cls(dataset, numbers if numbers.is_floating_point() else numbers.long(), torch.arange(len(numbers)))

    def __getitem__(self, index: int) -> Batch | UserError | None:
        """Return a sample, None for one to be left out, or its error, which a worker process may not raise as it is."""
        try:
            sample = self.dataset[int(self.indices[index])]
        except UserError as error:
            return error
        if sample is None:
            return None
        inputs = _as_tensor(sample[0])
        if num_not_finite(inputs[None]):
            name = getattr(self.dataset, "name", type(self.dataset).__name__)
            return UserError(f"{name} has NaN or infinity in sample {int(self.indices[index])}")
        return inputs if self.arrange is None else self.arrange(inputs), self.labels[index]

    def sample(self) -> Tensor | None:
        """Return the first sample that can be read, (C, *spatial), without drawing random numbers of the network."""
        with torch.random.fork_rng(devices=[]):
            samples = (self[index] for index in range(len(self)))
            return next((sample[0] for sample in samples if isinstance(sample, tuple)), None)

    def paths(self) -> list[Path] | None:
        """Return the file of each sample; None if the samples are no files."""
        paths = getattr(self.dataset, "paths", None)
        return None if paths is None else [paths[index] for index in self.indices.tolist()]

    def load(self, num_workers: int, description: str) -> TensorSamples:
        """Read every sample into memory.

        Raises:
            UserError: naming the samples that cannot be read, or if they would not fit.
        """
        inputs: Tensor | None = None
        kept: list[Tensor] = []
        errors: list[UserError] = []
        num_loaded = 0
        reader: DataLoader[Any] = DataLoader(
            self,  # type: ignore[arg-type]
            batch_size=_SAMPLES_PER_READ,
            collate_fn=_good_and_bad,
            generator=torch.Generator(),  # not the global one: how data are read must not change the network
            **reader_arguments(num_workers if len(self) > 10 * _SAMPLES_PER_READ else 0),
        )
        bar = tqdm(
            total=len(self), desc=description, unit=" samples", leave=False, delay=1, disable=not sys.stderr.isatty()
        )
        with bar:
            for batch, problems in reader:
                bar.update(_SAMPLES_PER_READ)
                errors += problems
                if batch is None:
                    continue
                if inputs is None:
                    require_memory(len(self) * batch[0][0].nbytes, f"{len(self):,} samples")
                    inputs = batch[0].new_empty((len(self), *batch[0].shape[1:]))
                if problem := difference(batch[0][0], inputs[0]):
                    raise UserError(str(problem))
                inputs[num_loaded : num_loaded + len(batch[0])] = batch[0]
                num_loaded += len(batch[0])
                kept.append(batch[1])
        if errors:
            raise _all_of(errors, len(self))
        if inputs is None:
            raise UserError(f"{description}: none of {len(self)} samples can be read")
        if num_loaded < len(self):
            log.warning("WARNING: %d of %d samples were left out", len(self) - num_loaded, len(self))
        return TensorSamples(inputs[:num_loaded], torch.cat(kept))

    def take(self, positions: Tensor | slice) -> "LazySamples":
        return replace(self, labels=self.labels[positions], indices=self.indices[positions])


class _InTurn(Dataset[Any]):
    """The samples of one split followed by those of another."""

    def __init__(self, first: TensorSamples | LazySamples, second: TensorSamples | LazySamples) -> None:
        self.first, self.second = first, second
        files = [part.paths() if isinstance(part, LazySamples) else None for part in (first, second)]
        self.paths = None if None in files else [path for part in files for path in part or []]

    def __getitem__(self, index: int) -> Any:
        own = index - len(self.first)
        sample = self.first[index] if own < 0 else self.second[own]
        if isinstance(sample, UserError):
            raise sample
        return sample


def joined(first: TensorSamples | LazySamples, second: TensorSamples | LazySamples) -> TensorSamples | LazySamples:
    """Return the samples of two splits as one; they lie in memory if those of both do."""
    labels = torch.cat([first.labels, second.labels])
    if isinstance(first, TensorSamples) and isinstance(second, TensorSamples):
        if problem := difference(first.inputs[0], second.inputs[0]):
            raise problem
        return TensorSamples(torch.cat([first.inputs, second.inputs]), labels)
    return LazySamples(_InTurn(first, second), labels, torch.arange(len(labels)))


def reader_arguments(num_workers: int) -> dict[str, Any]:
    """Return arguments for a DataLoader that reads in `num_workers` processes; 0 reads in this process."""
    return {
        "num_workers": num_workers,
        # Forked workers start at once. Those of the other methods, which may be the default, import torch again.
        "multiprocessing_context": "fork" if num_workers and sys.platform == "linux" else None,
    }


def collate(samples: Sequence[Batch | UserError | None]) -> Batch | UserError | None:
    """Stack samples to a batch without those to be left out, or return the first error, or None if nothing is left."""
    batch, errors = _good_and_bad(samples)
    return errors[0] if errors else batch


def _good_and_bad(samples: Sequence[Batch | UserError | None]) -> tuple[Batch | None, list[UserError]]:
    errors = [sample for sample in samples if isinstance(sample, UserError)]
    good = [sample for sample in samples if isinstance(sample, tuple)]
    if not good:
        return None, errors
    inputs, labels = zip(*good, strict=True)
    for one in inputs:
        if problem := difference(one, inputs[0]):
            return None, [*errors, problem]
    return (torch.stack(inputs), torch.stack(labels)), errors


def _as_tensor(value: Any) -> Tensor:
    """Convert any input to a uint8 or float32 tensor."""
    if isinstance(value, Image.Image):
        from torchvision.transforms.functional import pil_to_tensor  # takes long to import

        value = pil_to_tensor(value)
    tensor = torch.as_tensor(as_stored(np.array(value)) if isinstance(value, np.ndarray) else value)
    return tensor if tensor.dtype == torch.uint8 else tensor.to(torch.float32)


def difference(one: Tensor, other: Tensor) -> UserError | None:
    """Return an error if two samples (C, *spatial) cannot be in one data set, by their shapes or kinds of values."""
    if one.shape != other.shape:
        shapes = " and ".join("x".join(map(str, tensor.shape)) for tensor in (one, other))
        return UserError(f"samples must have one shape, got {shapes}")
    if kind(one.dtype) != kind(other.dtype):
        return UserError(
            f"samples must be of one type, got {kind(one.dtype)} and {kind(other.dtype)}: uint8 is taken for 0 to 255, "
            "anything else as it is"
        )
    return None


def _all_of(errors: Sequence[UserError], num_samples: int) -> UserError:
    if len(errors) == 1:
        return UserError(str(errors[0]))
    return UserError(f"{len(errors)} of {num_samples} samples cannot be read: {joined_errors(errors)}")
