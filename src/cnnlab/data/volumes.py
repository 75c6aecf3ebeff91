"""Handwritten digits as solid objects in space: what MNIST is to images, for networks that convolve volumes."""

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cnnlab.data.augment import turns
from cnnlab.data.mnist import MNIST
from cnnlab.data.samples import LabelledSamples, TensorSamples
from cnnlab.data.splits import Splits
from cnnlab.errors import UserError

_ZOOM = 1.2  # MNIST leaves a margin of 4 of 28 pixels around its digits
_CHUNK = 100  # images at once: what they need then stays in the processor's cache


class Volumes(MNIST):
    """MNIST's digits, extruded, turned in space and cut into voxels: 1 x size x size x size, uint8.

    Training and validation volumes are made of training images and test volumes of test images. Each digit has one
    turn, which turn_seed decides whatever else is chosen.

    Args:
        size: voxels along each side.
        thickness: of the digits, as a fraction of the side.
        degrees: the largest turn in either direction, in each of the three planes.
        turn_seed: of the turns.
        **mnist: see MNIST and DataModule.
    """

    has_own_folds = True  # those of DataModule, cut from the images: only the volumes that are used are made
    dataset_name = "volumes"
    preprocessing = "plain"

    def __init__(
        self, size: int = 16, thickness: float = 0.3, degrees: float = 30.0, turn_seed: int = 0, **mnist: Any
    ) -> None:
        super().__init__(**mnist)
        if size < 4:
            raise UserError(f"size must be at least 4 voxels, got {size}")
        if not 0 < thickness <= 1:
            raise UserError(f"thickness must be greater than 0 and at most 1, got {thickness}")
        if not 0 <= degrees <= 180:
            raise UserError(f"degrees must be from 0 to 180, got {degrees}")
        self.size, self.thickness, self.degrees, self.turn_seed = size, thickness, degrees, turn_seed

    def read(self) -> Splits:
        images = super().read()
        training, validation = self._turned(images.training, 0), self._turned(images.validation, 1)
        if self.fold is not None:
            validation, training = _joined(training, validation).fold(self.fold, self.num_folds)
        name = "volumes" if images.dataset == self.dataset_name else "volumes-5k"
        made_with = f"size {self.size}, thickness {self.thickness}, {self.degrees} degrees, seed {self.turn_seed}"
        test = images.test
        return replace(
            images,
            dataset=f"{name}-{self.size}",
            training=self._solid(training.first(self.train_size)),
            validation=self._solid(validation.first(self.val_size)),
            test=lambda: self._solid(self._turned(test() if callable(test) else test, 2)),
            checksums=images.checksums | {"volumes": made_with},
        )

    def _turned(self, images: Any, stream: int) -> "_TurnedImages":
        """The images of a split with their turns, of which each depends on its image's place in the split alone."""
        generator = torch.Generator().manual_seed(3 * self.turn_seed + stream)
        angles = (2 * torch.rand(len(images), 3, generator=generator) - 1) * math.radians(self.degrees)
        return _TurnedImages(images.inputs, images.labels, angles)

    def _solid(self, images: "_TurnedImages") -> TensorSamples:
        chunks = zip(torch.split(images.inputs, _CHUNK), torch.split(images.angles, _CHUNK), strict=True)
        solid = torch.cat([extrude(pixels, turned, self.size, self.thickness) for pixels, turned in chunks])
        return TensorSamples(solid, images.labels)


@dataclass(frozen=True)
class _TurnedImages(LabelledSamples):
    """Images (N, 1, H, W) that are not solid yet, with the angles (N, 3) of their turns in radians."""

    inputs: Tensor
    labels: Tensor
    angles: Tensor

    def take(self, positions: Tensor | slice) -> "_TurnedImages":
        return _TurnedImages(self.inputs[positions], self.labels[positions], self.angles[positions])


def _joined(first: _TurnedImages, second: _TurnedImages) -> _TurnedImages:
    pairs = zip(*(vars(images).values() for images in (first, second)), strict=True)
    return _TurnedImages(*map(torch.cat, pairs))


def extrude(images: Tensor, angles: Tensor, size: int, thickness: float) -> Tensor:
    """Return images (N, 1, H, W) uint8 as turned slabs (N, 1, size, size, size) uint8.

    The slab lies in the plane of height and width and is `thickness` of the side deep before it is turned by
    angles (N, 3), in radians, in the planes of width and height, width and depth, and height and depth.
    """
    matrices = torch.eye(3).expand(len(images), 3, 3)
    for plane, turned in zip(combinations(range(3), 2), angles.T, strict=True):
        matrices = matrices @ turns(3, plane, turned)
    side = (torch.arange(size) + 0.5) * (2 / size) - 1
    depth, height, width = torch.meshgrid(side, side, side, indexing="ij")
    voxels = torch.stack([width, height, depth]).flatten(1)
    x, y, z = (matrices[..., None] * voxels).sum(2).unbind(1)  # no matmul: it may round by the number of images
    flat = torch.stack([x, y], dim=2).div_(_ZOOM).unsqueeze(1)
    ink = functional.grid_sample(images.float(), flat, mode="bilinear", padding_mode="zeros", align_corners=False)
    inside = ((thickness - z.abs()) * (size / 2) + 0.5).clamp_(0, 1)
    return (ink.flatten(1) * inside).round_().to(torch.uint8).reshape(-1, 1, size, size, size)
