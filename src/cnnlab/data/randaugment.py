"""RandAugment (Cubuk et al., 2020) for whole batches, with operations of each image's own."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torchvision.transforms.v2 import InterpolationMode, functional

_LINEAR = InterpolationMode.BILINEAR


def randaugment(batch: Tensor, num_operations: int, level: float, generator: Generator) -> Tensor:
    """Apply random operations of torchvision to each image, one after the other.

    All images that draw the same operation are changed by one call. This gives what a call for each image would give,
    because the strength is the same for all.

    Args:
        batch: (N, C, H, W) uint8, with one or three channels.
        level: the strength, 0 to 1, of which half of the operations also take the negative.
    """
    names = list(_OPERATIONS)
    for _ in range(num_operations):
        draws = torch.randint(2 * len(names), (len(batch),), generator=generator, device=batch.device)
        changed = batch.clone()
        for draw in sorted(set(draws.tolist())):
            name, sign = names[draw // 2], 1 if draw % 2 else -1
            chosen = draws == draw
            changed[chosen] = _OPERATIONS[name](batch[chosen], sign * level)
        batch = changed
    return batch


def _affine(batch: Tensor, translate: tuple[int, int] = (0, 0), shear: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    moved: Tensor = functional.affine(
        batch, angle=0.0, translate=list(translate), scale=1.0, shear=list(shear), interpolation=_LINEAR, center=[0, 0]
    )
    return moved


def _degrees(slope: float) -> float:
    return math.degrees(math.atan(slope))


# Each takes a batch and a level from -1 to 1; the largest amounts are those of torchvision's RandAugment.
_OPERATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "identity": lambda batch, level: batch,
    "shear_x": lambda batch, level: _affine(batch, shear=(_degrees(0.3 * level), 0.0)),
    "shear_y": lambda batch, level: _affine(batch, shear=(0.0, _degrees(0.3 * level))),
    "translate_x": lambda batch, level: _affine(batch, translate=(round(150 / 331 * level * batch.shape[3]), 0)),
    "translate_y": lambda batch, level: _affine(batch, translate=(0, round(150 / 331 * level * batch.shape[2]))),
    "rotate": lambda batch, level: functional.rotate(batch, 30 * level, interpolation=_LINEAR),
    "brightness": lambda batch, level: functional.adjust_brightness(batch, 1 + 0.9 * level),
    "saturation": lambda batch, level: functional.adjust_saturation(batch, 1 + 0.9 * level),
    "contrast": lambda batch, level: functional.adjust_contrast(batch, 1 + 0.9 * level),
    "sharpness": lambda batch, level: functional.adjust_sharpness(batch, 1 + 0.9 * level),
    "posterize": lambda batch, level: functional.posterize(batch, 8 - round(4 * abs(level))),
    "solarize": lambda batch, level: functional.solarize(batch, 255 * (1 - abs(level))),
    "auto_contrast": lambda batch, level: functional.autocontrast(batch),
    "equalize": lambda batch, level: functional.equalize(batch),
}
