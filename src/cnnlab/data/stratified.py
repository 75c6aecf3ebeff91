"""Splits and subsets that keep the proportions of the classes."""

import torch
from torch import Tensor

# Part of the definition of the validation split: fixed, so that every seed and every sweep sees the same images.
_SPLIT_SEED = 20_101


def stratified_order(labels: Tensor) -> Tensor:
    """Return a fixed permutation of range(N) of which every prefix has the class proportions of the whole.

    Class c with n_c members puts its k-th member (in a fixed random order) at position (k + 0.5) / n_c of the
    way, so a prefix of length m holds each class round(m * n_c / N) times, give or take one. Values have no classes,
    so their order is random.

    Args:
        labels: (N,) int64, or (N, num_values) float32.
    """
    generator = torch.Generator().manual_seed(_SPLIT_SEED)
    if labels.is_floating_point():
        return torch.randperm(len(labels), generator=generator)
    position = torch.empty(len(labels), dtype=torch.float64)
    for label in torch.unique(labels):
        members = (labels == label).nonzero().flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        position[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return position.argsort(stable=True)
