"""Reads the samples that are looked at, with the names of their files where they come from files."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from cnnlab.data.datamodule import DataModule
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Samples
from cnnlab.errors import UserError

_MOST = 5_000  # of a split that is not in memory


@dataclass(frozen=True)
class Part:
    """The samples of a split that are looked at.

    Attributes:
        split: training, validation or test.
        num_samples: of the whole split.
        all_labels: of the whole split, (num_samples,) or (num_samples, K).
        inputs: (N, C, *spatial), as stored, of all samples, or of the first that could be read.
        labels: (N,) or (N, K).
        paths: of their files; empty where they do not come from files of their own.
        unreadable: what is wrong with the files that could not be read.
    """

    split: str
    num_samples: int
    all_labels: Tensor
    inputs: Tensor
    labels: Tensor
    paths: list[Path]
    unreadable: list[str]

    def name(self, number: int) -> str:
        """How a sample is called: by its file, or by its number."""
        if not self.paths:
            return f"{self.split}[{number}]"
        return "/".join(self.paths[number].parts[-2:])


def parts_of(data: DataModule) -> Iterator[Part]:
    """The splits of a data set that is set up, one after the other."""
    yield _part("training", data.training)
    yield _part("validation", data.validation)
    yield _part("test", data.test_dataloader().data)


def _part(split: str, samples: Samples) -> Part:
    if isinstance(samples, TensorSamples):
        return Part(split, len(samples), samples.labels, samples.inputs, samples.labels, [], [])
    first = samples.first(min(_MOST, len(samples)))
    found: list[Any] = []
    with ThreadPool(8) as pool:
        read = pool.imap(first.__getitem__, range(len(first)), chunksize=16)
        bar = tqdm(read, f"reading {split}", len(first), leave=False, delay=1, disable=not sys.stderr.isatty())
        found.extend(bar)
    good = [number for number, sample in enumerate(found) if isinstance(sample, tuple)]
    if not good:
        raise UserError(f"none of the {len(first):,} {split} samples can be read")
    inputs, labels = (torch.stack([found[number][i] for number in good]) for i in (0, 1))
    paths = getattr(first.dataset, "paths", None)
    named = [paths[int(first.indices[number])] for number in good] if paths else []
    unreadable = [str(sample) for sample in found if isinstance(sample, UserError)]
    return Part(split, len(samples), samples.labels, inputs, labels, named, unreadable)
