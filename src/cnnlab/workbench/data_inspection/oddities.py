"""Finds samples that may be mistakes: copies, dark, bright and empty ones, and those unlike all others."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cnnlab.data.files.imaging import read_header
from cnnlab.data.split_checks import hashes
from cnnlab.workbench.data_inspection.samples import Part

_DARK, _BRIGHT, _FLAT = 0.04, 0.96, 0.01  # mean, mean and deviation of values from 0 to 1
_SILENT = 0.01  # of the usual deviation of a recording
_USUAL_DARK, _USUAL_BRIGHT = 0.15, 0.85  # where most images are like that, it says nothing
_LONG = 3.0  # times as long as wide
_FAR = 8.0  # deviations beyond the median of the distances
_MOST_UNLIKE = 8  # of a split
_MOST_COMPARED = 5_000  # all with all
_NEIGHBOURS = 5
_SIDE = {1: 64, 2: 8, 3: 5}  # to which samples are made smaller before they are compared


@dataclass(frozen=True)
class Odd:
    """A sample that should be looked at.

    Attributes:
        number: of the sample in its part.
        reason: in a few words.
    """

    part: Part
    number: int
    reason: str


@dataclass(frozen=True)
class Copies:
    """Samples of which all values are equal.

    Attributes:
        groups: the samples of each group, as parts and numbers.
    """

    groups: list[list[tuple[Part, int]]]

    def num_within(self, split: str) -> int:
        """How many samples of a split repeat another one of it."""
        counts = [sum(part.split == split for part, _ in group) for group in self.groups]
        return sum(count - 1 for count in counts if count > 1)

    def num_shared(self, split: str) -> int:
        """How many samples of a split are training samples too."""
        shared = [group for group in self.groups if any(part.split == "training" for part, _ in group)]
        return sum(part.split == split for group in shared for part, _ in group)

    @property
    def contradictions(self) -> list[list[tuple[Part, int]]]:
        """The groups of which the samples have different labels."""
        return [group for group in self.groups if len({tuple(p.labels[n].reshape(-1).tolist()) for p, n in group}) > 1]


def copies(parts: Sequence[Part]) -> Copies:
    found: dict[int, list[tuple[Part, int]]] = defaultdict(list)
    for part in parts:
        for number, one in enumerate(hashes(part.inputs)):
            found[one].append((part, number))
    return Copies([group for group in found.values() if len(group) > 1])


def odd_ones(part: Part, kind: str, scale: float) -> list[Odd]:
    """The odd samples of a split; of images also by their brightness and by the sizes of their files."""
    if kind == "text":
        return [Odd(part, n, "no words") for n in (part.inputs.flatten(1) == 0).all(dim=1).nonzero().flatten().tolist()]
    means, deviations = _means_and_deviations(part.inputs, scale)
    found: dict[int, str] = {}
    if kind == "audio":
        found |= dict.fromkeys(
            (deviations < _SILENT * deviations.median()).nonzero().flatten().tolist(), "nearly silent"
        )
    else:
        found |= dict.fromkeys(_unlike(part.inputs[:_MOST_COMPARED]), "unlike the others")
    found |= dict.fromkeys((deviations <= _FLAT * (scale != 1)).nonzero().flatten().tolist(), "all values alike")
    if kind == "image" and part.inputs.dtype == torch.uint8:
        usual = float(means.median())
        if usual > _USUAL_DARK:
            found |= dict.fromkeys((means < _DARK).nonzero().flatten().tolist(), "very dark")
        if usual < _USUAL_BRIGHT:
            found |= dict.fromkeys((means > _BRIGHT).nonzero().flatten().tolist(), "very bright")
        found |= _long(part)
    return [Odd(part, number, reason) for number, reason in sorted(found.items())]


def _means_and_deviations(inputs: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Of each sample, a thousand at a time, for together they may be too large as floats."""
    found = [torch.var_mean(chunk.flatten(1).float() * scale, dim=1) for chunk in torch.split(inputs, 1_000)]
    variances, means = (torch.cat(several) for several in zip(*found, strict=True))
    return means, variances.sqrt()


def _long(part: Part) -> dict[int, str]:
    """Pictures whose files are much longer than wide, or wider than long."""
    found = {}
    for number, path in enumerate(part.paths):
        header = read_header(path)
        longer, shorter = max(header.height, header.width), min(header.height, header.width)
        if longer >= _LONG * shorter:
            found[number] = f"{header.height}x{header.width}"
    return found


def _unlike(samples: Tensor) -> list[int]:
    """The samples whose nearest neighbours are much farther away than those of most samples are."""
    values = samples.float()
    num_samples, num_dims = len(values), values.dim() - 2
    if num_samples < 4 * _NEIGHBOURS or num_dims not in _SIDE:
        return []
    pool: Any = getattr(functional, f"adaptive_avg_pool{num_dims}d")
    small = pool(values, [min(side, _SIDE[num_dims]) for side in values.shape[2:]]).flatten(1)
    far = torch.cat([_distance(rows, small) for rows in torch.split(small, 1_000)])
    spread = 1.4826 * (far - far.median()).abs().median()
    order = far.argsort(descending=True)[:_MOST_UNLIKE].tolist()
    return [number for number in order if far[number] > far.median() + _FAR * spread and spread > 0]


def _distance(rows: Tensor, all_samples: Tensor) -> Tensor:
    """To the fifth nearest other sample; the sample itself is the nearest of all."""
    return torch.cdist(rows, all_samples).kthvalue(_NEIGHBOURS + 1, dim=1).values
