"""Training samples one by one, as courses write it: pictures as torchvision gives them, anything else as arrays."""

from collections.abc import Callable
from typing import Any

import torch
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import transforms

from cnnlab.data.datamodule import DataModule
from cnnlab.errors import UserError


class HandWrittenSamples(Dataset[tuple[Tensor, int]]):
    """The training samples, normalised one by one.

    Images are Pillow images, augmented as `augment` says, then through ToTensor and Normalize. Sequences, volumes and
    what is not uint8 are arrays without augmentation.

    Args:
        augment: the node conf/augment, of which the counterpart in torchvision is taken.
    """

    def __init__(self, data: DataModule, augment: DictConfig) -> None:
        inputs: Tensor = data.training.inputs  # type: ignore[union-attr]
        self.labels = data.training.labels.tolist()
        before = counterpart(augment, data.input_shape[1:])
        if data.kind_of(inputs.dim() - 2) == "image" and inputs.dtype == torch.uint8:
            self.values = inputs.movedim(1, -1).squeeze(-1).numpy()
            after = [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
            self.transform = transforms.Compose([Image.fromarray, *before, *after])
        elif before:
            raise UserError("a loop written by hand augments only images here; leave out augment=")
        else:
            self.values = inputs.numpy()
            per_channel = (-1, *[1] * (inputs.dim() - 2))
            mean, std = (torch.tensor(value).reshape(per_channel) for value in (data.mean, data.std))
            self.transform = lambda values: (torch.from_numpy(values) * data.scale - mean) / std

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.values[index]), self.labels[index]


def counterpart(augment: DictConfig, size: tuple[int, ...]) -> list[Callable[[Any], Any]]:
    """torchvision's transforms that change an image as our augmentation of a batch does."""
    name = augment._target_.rpartition(".")[2]
    if name == "Shift":
        return [transforms.RandomCrop(size, padding=augment.max_pixels)]
    if name == "Affine":
        moves = (augment.translate, augment.translate)
        scales = (1 - augment.scale, 1 + augment.scale)
        bilinear = transforms.InterpolationMode.BILINEAR
        return [transforms.RandomAffine(augment.degrees, moves, scales, interpolation=bilinear)]
    return []
