"""Seven ways to corrupt images, each in five degrees, for tests of robustness."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

Corrupt = Callable[[Tensor, float, Generator], Tensor]


@dataclass(frozen=True)
class Corruption:
    """One way to spoil images.

    Attributes:
        unit: of the strengths, to be read after a number.
        strengths: of severity 1 to 5.
        apply: (images, strength, generator) to images of the same shape; images are (N, C, H, W) in [0, 1] with 0 as
            background, and each gets its own draw of directions and places.
    """

    unit: str
    strengths: tuple[float, float, float, float, float]
    apply: Corrupt

    @property
    def in_words(self) -> str:
        """The strengths from first to last; shares as percentages."""
        factor, unit = (100, f"% {self.unit}") if self.unit.startswith("of ") else (1, self.unit)
        return f"{factor * self.strengths[0]:.3g} to {factor * self.strengths[-1]:.3g} {unit}"


def shift(batch: Tensor, fraction: float, generator: Generator) -> Tensor:
    """Move by a fraction of the side, in any direction."""
    angle = 2 * math.pi * _uniform(batch, generator)
    offsets = 2 * fraction * torch.stack([angle.cos(), angle.sin()], dim=1)
    return _transformed(batch, torch.eye(2).expand(len(batch), 2, 2), offsets)


def rotation(batch: Tensor, degrees: float, generator: Generator) -> Tensor:
    """Turn about the centre, to the left or to the right."""
    angle = math.radians(degrees) * _sign(batch, generator)
    rows = [torch.stack([angle.cos(), -angle.sin()], 1), torch.stack([angle.sin(), angle.cos()], 1)]
    sides = torch.tensor([batch.shape[-1], batch.shape[-2]], dtype=torch.float32)
    turn = torch.stack(rows, dim=1) * sides[None, None, :] / sides[None, :, None]  # pixels turn, not the unit square
    return _transformed(batch, turn, torch.zeros(len(batch), 2))


def scale(batch: Tensor, percent: float, generator: Generator) -> Tensor:
    """Enlarge or shrink about the centre."""
    factor = (1 + percent / 100) ** _sign(batch, generator)
    return _transformed(batch, torch.eye(2) / factor[:, None, None], torch.zeros(len(batch), 2))


def brightness(batch: Tensor, amount: float, generator: Generator) -> Tensor:
    """Add to or take from every value, with saturation."""
    return (batch + amount * _sign(batch, generator)[:, None, None, None]).clamp(0, 1)


def noise(batch: Tensor, deviation: float, generator: Generator) -> Tensor:
    """Add normally distributed noise, with saturation."""
    return (batch + deviation * torch.randn(batch.shape, generator=generator)).clamp(0, 1)


def blur(batch: Tensor, fraction: float, generator: Generator) -> Tensor:
    """Gaussian blur whose standard deviation is a fraction of the shorter side."""
    from torchvision.transforms.v2 import functional as images  # takes long to import

    sigma = fraction * min(batch.shape[-2:])
    radius = min(max(1, round(3 * sigma)), min(batch.shape[-2:]) - 1)
    blurred: Tensor = images.gaussian_blur(batch, [2 * radius + 1] * 2, [sigma] * 2)
    return blurred


def occlusion(batch: Tensor, fraction: float, generator: Generator) -> Tensor:
    """Cover a square of medium grey, somewhere, whose side is a fraction of the shorter side."""
    height, width = batch.shape[-2:]
    side = max(1, round(fraction * min(height, width)))
    tops = (_uniform(batch, generator) * (height - side + 1)).long()[:, None, None]
    lefts = (_uniform(batch, generator) * (width - side + 1)).long()[:, None, None]
    rows, columns = torch.arange(height)[None, :, None], torch.arange(width)[None, None, :]
    covered = (rows >= tops) & (rows < tops + side) & (columns >= lefts) & (columns < lefts + side)
    return torch.where(covered[:, None], 0.5, batch)


CORRUPTIONS: Mapping[str, Corruption] = {
    "shift": Corruption("of the side", (0.04, 0.08, 0.12, 0.16, 0.2), shift),
    "rotation": Corruption("degrees", (10, 20, 30, 45, 60), rotation),
    "scale": Corruption("% larger or smaller", (10, 20, 35, 50, 75), scale),
    "brightness": Corruption("of the range", (0.1, 0.2, 0.3, 0.4, 0.5), brightness),
    "noise": Corruption("of the range, sd", (0.1, 0.2, 0.3, 0.45, 0.6), noise),
    "blur": Corruption("of the side, sd", (0.02, 0.04, 0.06, 0.08, 0.1), blur),
    "occlusion": Corruption("of the side", (0.15, 0.25, 0.35, 0.45, 0.55), occlusion),
}


def severities(batch: Tensor, name: str, seed: int) -> Iterator[Tensor]:
    """The images spoilt with severity 1 to 5, one after the other, with the same directions and places at each."""
    corruption = CORRUPTIONS[name]
    for strength in corruption.strengths:
        yield corruption.apply(batch, strength, torch.Generator().manual_seed(seed))


def _transformed(batch: Tensor, matrices: Tensor, offsets: Tensor) -> Tensor:
    """Sample where output coordinates, from -1 to 1, are mapped to by (N, 2, 2) matrices and (N, 2) offsets.

    What comes in from outside is background, or of photographs, which have none, what is at their border.
    """
    border = torch.cat([batch[..., [0, -1], :].flatten(), batch[..., [0, -1]].flatten()])
    outside = "zeros" if border.median() == 0 else "border"
    grid = functional.affine_grid(torch.cat([matrices, offsets[:, :, None]], 2), list(batch.shape), align_corners=False)
    return functional.grid_sample(batch, grid, padding_mode=outside, align_corners=False)


def _uniform(batch: Tensor, generator: Generator) -> Tensor:
    return torch.rand(len(batch), generator=generator)


def _sign(batch: Tensor, generator: Generator) -> Tensor:
    return 2.0 * torch.randint(2, (len(batch),), generator=generator) - 1.0
