"""Random changes of whole batches, drawn separately for each sample, for any number of spatial dims."""

import math
from itertools import combinations
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor
from torch.nn import functional

from cnnlab.data.mixing import Mixed


@runtime_checkable
class Augmentation(Protocol):
    """Maps a batch (N, C, *spatial) to a batch of the same shape; zero is the background.

    Where it is not for all data, its attribute `kinds` names the kinds that it is for, see DataModule.kind.
    """

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor: ...


@runtime_checkable
class Mixing(Augmentation, Protocol):
    """An augmentation that may also mix samples, and with them their labels."""

    def mix(self, batch: Tensor, generator: Generator) -> Mixed | None:
        """Mix the samples of a batch that has been augmented; None: they stay as they are."""


def augmented(
    augment: Augmentation, inputs: Tensor, labels: Tensor, generator: Generator, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Return a batch after augmentation. The labels of mixed samples are shares (N, num_classes) of the classes."""
    inputs = augment(inputs, generator)
    if isinstance(augment, Mixing) and (mixed := augment.mix(inputs, generator)):
        return mixed.inputs, mixed.labels(labels, num_classes)
    return inputs, labels


class Unchanged:
    """No augmentation."""

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        return batch


class Shift:
    """Move each sample by a whole number of pixels, uniform in -max_pixels to max_pixels along every spatial dim.

    Args:
        max_pixels: the largest shift in either direction.
    """

    def __init__(self, max_pixels: int = 1) -> None:
        if max_pixels < 0:
            raise ValueError(f"max_pixels must not be negative, got {max_pixels}")
        self.max_pixels = max_pixels

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        spatial = batch.shape[2:]
        windows = functional.pad(batch, [self.max_pixels] * 2 * len(spatial))
        for dim, size in enumerate(spatial, start=2):
            windows = windows.unfold(dim, size, 1)  # (N, C, offsets…, *spatial)
        offsets = torch.randint(
            2 * self.max_pixels + 1, (len(spatial), len(batch)), generator=generator, device=batch.device
        )
        samples = torch.arange(len(batch), device=batch.device)
        return windows[samples, :, *offsets]


class Affine:
    """Rotate, scale and move each sample by its own amount, with linear interpolation and zeros outside.

    Args:
        degrees: rotation uniform in -degrees to degrees, in every plane of two spatial dims.
        scale: factor uniform in 1 - scale to 1 + scale.
        translate: shift uniform in -translate to translate, as a fraction of each side.
    """

    kinds: tuple[str, ...] = ("image", "series", "volume", "audio", "spectrogram")

    def __init__(self, degrees: float = 10.0, scale: float = 0.1, translate: float = 0.07) -> None:
        for name, value in {"degrees": degrees, "scale": scale, "translate": translate}.items():
            if value < 0 or (name == "scale" and value >= 1):
                raise ValueError(f"{name} must be at least 0{' and less than 1' * (name == 'scale')}, got {value}")
        self.degrees, self.scale, self.translate = degrees, scale, translate

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        if batch.dim() == 3:  # grid_sample has no 1-D form: a signal is an image one pixel high
            return self(batch.unsqueeze(2), generator).squeeze(2)
        grid = self.grid(batch, generator)
        return functional.grid_sample(batch.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    def grid(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return where each pixel of the result comes from: (N, *spatial, D), from -1 to 1 along every side."""
        matrices = self._matrices(batch.shape, batch.device, generator)
        return functional.affine_grid(matrices, list(batch.shape), align_corners=False)

    def _matrices(self, shape: torch.Size, device: torch.device, generator: Generator) -> Tensor:
        """Return maps (N, D, D + 1) from output to input coordinates, which run from -1 to 1 along every side."""
        num_samples, sizes = shape[0], torch.tensor(shape[:1:-1], dtype=torch.float32, device=device)  # x, y, z
        dims = len(sizes)

        def uniform(extent: float, *trailing: int) -> Tensor:
            draws = torch.rand(num_samples, *trailing, generator=generator, device=device)
            return (2 * draws - 1) * extent

        matrix = torch.eye(dims, device=device).expand(num_samples, dims, dims)
        for i, j in combinations(range(dims), 2):
            if 1 in (shape[-1 - i], shape[-1 - j]):
                continue
            matrix = matrix @ turns(dims, (i, j), uniform(math.radians(self.degrees)))
        matrix = matrix / (1 + uniform(self.scale))[:, None, None]
        matrix = matrix * sizes[None, None, :] / sizes[None, :, None]  # rotate pixels, not the unit square
        shift = 2 * uniform(self.translate, dims) * (sizes > 1)
        return torch.cat([matrix, shift[:, :, None]], dim=2)


def turns(num_dims: int, plane: tuple[int, int], angles: Tensor) -> Tensor:
    """Return the matrices (N, D, D) of turns by angles (N,), in radians, in the plane of two of the dims."""
    i, j = plane
    matrices = torch.eye(num_dims, device=angles.device).repeat(len(angles), 1, 1)
    matrices[:, i, i] = matrices[:, j, j] = angles.cos()
    matrices[:, i, j], matrices[:, j, i] = -angles.sin(), angles.sin()
    return matrices
