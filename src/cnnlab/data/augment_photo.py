"""Random changes of photographs: parts, mirror images, colours, RandAugment, erased rectangles, and mixtures of two."""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional
from torchvision.transforms.v2.functional import rgb_to_grayscale

from cnnlab.data import mixing
from cnnlab.data.randaugment import randaugment
from cnnlab.errors import UserError

_WHITE = 255.0
_MOST_ELONGATED = 4 / 3  # of the parts that are cut out, as in torchvision's RandomResizedCrop
_ERASED_AREA, _ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)  # as in torchvision's RandomErasing
_LARGEST_MAGNITUDE = 30


class Photo:
    """Change every image of a batch by its own random amounts; each argument is one kind of change.

    The transforms of torchvision draw one amount for the whole batch. Calling them once for every image is right but
    slow, so the changes are written here for many images at a time, each with its own amount. The changes follow each
    other in the order of the arguments. mixup and cutmix also mix the labels.

    Args:
        randaugment: apply so many random operations of RandAugment (Cubuk et al., 2020) to each image; 0: none.
        magnitude: the strength of these operations, from 0 to 30.
        flip: the probability of exchanging left and right.
        vertical_flip: the probability of exchanging top and bottom.
        crop: show a random part of the image in the size of the whole; the smallest share of its area; 1: no crop.
        color: change brightness, contrast and saturation by factors from 1 - color to 1 + color; 0: not at all.
        erasing: the probability of covering a random rectangle with the image's mean colour (Zhong et al., 2020).
        mixup: lay two images over each other (Zhang et al., 2018). Their shares are drawn from Beta(mixup, mixup):
            small values leave most images nearly alone, 1 makes all shares equally likely; 0: no mixup.
        cutmix: put a rectangle of another image into each (Yun et al., 2019), with shares from Beta(cutmix, cutmix);
            0: no cutmix. If mixup is given too, each image gets one of both.

    Raises:
        UserError: for an argument outside of its range.
    """

    kinds = ("image",)

    def __init__(
        self,
        randaugment: int = 0,
        magnitude: float = 9.0,
        flip: float = 0.0,
        vertical_flip: float = 0.0,
        crop: float = 1.0,
        color: float = 0.0,
        erasing: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
    ) -> None:
        for name, value in {"flip": flip, "vertical_flip": vertical_flip, "color": color, "erasing": erasing}.items():
            if not 0 <= value <= 1:
                raise UserError(f"{name} must be from 0 to 1, got {value}")
        if not 0 < crop <= 1:
            raise UserError(f"crop must be greater than 0 and at most 1, the share of the area, got {crop}")
        if not 0 <= magnitude <= _LARGEST_MAGNITUDE:
            raise UserError(f"magnitude must be from 0 to {_LARGEST_MAGNITUDE}, got {magnitude}")
        for name, value in {"randaugment": randaugment, "mixup": mixup, "cutmix": cutmix}.items():
            if value < 0:
                raise UserError(f"{name} must not be negative, got {value}")
        self.randaugment, self.level = randaugment, magnitude / _LARGEST_MAGNITUDE
        self.flip, self.vertical_flip = flip, vertical_flip
        self.crop, self.color, self.erasing = crop, color, erasing
        self.mixup, self.cutmix = mixup, cutmix

    @property
    def mirrors(self) -> bool:
        """Whether images may be exchanged for their mirror images, which is wrong for digits and letters."""
        return self.flip > 0 or self.vertical_flip > 0

    def check(self, sample: Tensor) -> None:
        """Raise UserError for a change that images (C, H, W) like this one cannot have."""
        used = [name for name in ("randaugment", "color") if getattr(self, name)]
        if used and (sample.dtype != torch.uint8 or len(sample) not in (1, 3)):
            shape, kind = "x".join(map(str, sample.shape)), str(sample.dtype).removeprefix("torch.")
            raise UserError(
                f"augment.{used[0]} is for grey or RGB images of the type uint8, got {kind} of {shape}; "
                f"augment.{used[0]}=0 leaves it out"
            )

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        if self.randaugment:
            batch = randaugment(batch, self.randaugment, self.level, generator)
        for probability, dim in ((self.flip, 3), (self.vertical_flip, 2)):
            if probability:
                batch = torch.where(_chosen(batch, probability, generator), batch.flip(dim), batch)
        if self.crop < 1:
            batch = _cropped(batch, self.crop, generator)
        if self.color:
            batch = _recoloured(batch, self.color, generator)
        if self.erasing:
            batch = _erased(batch, self.erasing, generator)
        return batch

    def mix(self, batch: Tensor, generator: Generator) -> mixing.Mixed | None:
        """See augment.Mixing."""
        if self.mixup or self.cutmix:
            return mixing.mixed(batch, self.mixup, self.cutmix, generator)
        return None


def _cropped(batch: Tensor, smallest: float, generator: Generator) -> Tensor:
    """A random part of each image, enlarged to the size of the whole by linear interpolation."""
    area = _uniform(batch, smallest, 1, generator)
    ratio = _uniform(batch, -1, 1, generator).mul(math.log(_MOST_ELONGATED)).exp()
    sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp(max=1)  # width and height
    centres = (1 - sides) * (2 * torch.rand(sides.shape, generator=generator, device=batch.device) - 1)
    grid = functional.affine_grid(
        torch.cat([torch.diag_embed(sides), centres.unsqueeze(2)], dim=2), list(batch.shape), align_corners=False
    )
    height, width = batch.shape[2:]
    # Half a pixel inside of the edge, where no darkness from outside the image is mixed in.
    edge = 1 - 1 / torch.tensor([width, height], dtype=grid.dtype, device=grid.device)
    grid = torch.minimum(torch.maximum(grid, -edge), edge)
    return functional.grid_sample(batch.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _recoloured(batch: Tensor, strength: float, generator: Generator) -> Tensor:
    """Move each image away from black, from its mean grey and from its own grey version, or towards them."""
    changed = batch.to(torch.float32, copy=True)
    is_rgb = batch.shape[1] == 3
    for part in ("brightness", "contrast", "saturation")[: 3 if is_rgb else 2]:
        factor = _uniform(batch, 1 - strength, 1 + strength, generator).reshape(-1, 1, 1, 1)
        grey = rgb_to_grayscale(changed) if is_rgb else changed
        origin = {"contrast": grey.mean(dim=(1, 2, 3), keepdim=True), "saturation": grey}.get(
            part, changed.new_zeros(())
        )
        rest = origin * (1 - factor)
        changed.mul_(factor).add_(rest).clamp_(0, _WHITE)
    return changed


def _erased(batch: Tensor, probability: float, generator: Generator) -> Tensor:
    area = _uniform(batch, *_ERASED_AREA, generator)
    ratio = _uniform(batch, math.log(_ERASED_RATIO[0]), math.log(_ERASED_RATIO[1]), generator).exp()
    heights, widths = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    covered = mixing.rectangles(heights, widths, batch.shape[2:], generator)
    covered = covered & _chosen(batch, probability, generator)
    return torch.where(covered, batch.mean(dim=(2, 3), keepdim=True, dtype=torch.float32).to(batch.dtype), batch)


def _chosen(batch: Tensor, probability: float, generator: Generator) -> Tensor:
    """(N, 1, 1, 1), true with that probability."""
    return (_uniform(batch, 0, 1, generator) < probability).reshape(-1, 1, 1, 1)


def _uniform(batch: Tensor, low: float, high: float, generator: Generator) -> Tensor:
    """(N,), uniform in low to high."""
    return low + (high - low) * torch.rand(len(batch), generator=generator, device=batch.device)
