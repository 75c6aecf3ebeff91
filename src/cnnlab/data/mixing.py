"""Mixes each sample of a batch with another one, as mixup and CutMix do, and their labels in the same shares."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional


class Mixed(NamedTuple):
    """A batch of mixtures.

    Attributes:
        inputs: (N, C, H, W) float32.
        partners: (N,), the number of the other sample in each mixture.
        shares: (N,), how much of each mixture is the sample itself, 0 to 1; the rest is its partner.
    """

    inputs: Tensor
    partners: Tensor
    shares: Tensor

    def labels(self, labels: Tensor, num_classes: int) -> Tensor:
        """The labels of the mixtures, (N, num_classes) for class numbers (N,); values (N, …) keep their shape."""
        values = labels if labels.is_floating_point() else functional.one_hot(labels, num_classes).float()
        return torch.lerp(values[self.partners], values, self.shares.to(values).unsqueeze(1))


def mixed(batch: Tensor, mixup: float, cutmix: float, generator: Generator) -> Mixed:
    """Mix each image with the one before it, which is a random one because the samples are shuffled.

    Args:
        batch: (N, C, H, W).
        mixup, cutmix: parameters of the Beta distributions of the shares; 0: not this way. See augment_photo.Photo.
    """
    num_samples, size = len(batch), batch.shape[2:]
    uniform = torch.rand(3, num_samples, generator=generator, device=batch.device)
    is_cut = uniform[0] < 0.5 if mixup and cutmix else torch.full_like(uniform[0], bool(cutmix)).bool()
    own = torch.where(is_cut, _beta(uniform[1], cutmix), _beta(uniform[2], mixup))
    sides = (1 - own).sqrt()
    outside = ~rectangles(sides, sides, size, generator)
    weights = torch.where(is_cut.reshape(-1, 1, 1, 1), outside, own.reshape(-1, 1, 1, 1).expand_as(outside))
    partners = torch.arange(num_samples, device=batch.device).roll(1)
    values = batch.float()
    inputs = torch.lerp(values[partners], values, weights.expand_as(values))
    return Mixed(inputs, partners, weights.mean(dim=(1, 2, 3)))


def rectangles(heights: Tensor, widths: Tensor, size: torch.Size, generator: Generator) -> Tensor:
    """A mask (N, 1, H, W) with a rectangle at a random place in each image.

    Args:
        heights, widths: (N,), of the rectangles as shares of the image's sides.
    """
    inside = []
    for sides, length in ((heights, size[0]), (widths, size[1])):
        first = (1 - sides) * torch.rand(len(sides), generator=generator, device=sides.device)
        places = (torch.arange(length, device=sides.device) + 0.5) / length
        inside.append((places >= first[:, None]) & (places < (first + sides)[:, None]))
    return (inside[0][:, :, None] & inside[1][:, None, :]).unsqueeze(1)


def _beta(uniform: Tensor, parameter: float) -> Tensor:
    """Turn uniform numbers into such of Beta(parameter, parameter), for torch's own take no generator."""
    from scipy.special import betaincinv  # here, for it would slow down the start of every run

    if not parameter:
        return uniform
    drawn = betaincinv(parameter, parameter, uniform.double().cpu().numpy())
    return torch.from_numpy(drawn).to(uniform)
