"""Training images as torchvision's data sets give them: Pillow images that are transformed one by one."""

from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import transforms

from cnnlab.data.datamodule import DataModule


class PillowSamples(Dataset[tuple[Tensor, int]]):
    """The training images, augmented as `augment` says, then through ToTensor and Normalize.

    Args:
        augment: the node conf/augment, of which the counterpart in torchvision is taken.
    """

    def __init__(self, data: DataModule, augment: DictConfig) -> None:
        self.pixels = data.training.inputs.movedim(1, -1).squeeze(-1).numpy()  # type: ignore[union-attr]
        self.labels = data.training.labels.tolist()
        before = counterpart(augment, data.input_shape[1:])
        self.transform = transforms.Compose([*before, transforms.ToTensor(), transforms.Normalize(data.mean, data.std)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


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
