"""The LightningDataModule of every data set that fits in memory."""

from abc import abstractmethod
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from cnnlab.data.augment import Augmentation
from cnnlab.data.labelled import Labelled, Splits
from cnnlab.data.statistics import mean_and_std
from cnnlab.data.tensor_loader import EpochOrder, TensorLoader
from cnnlab.errors import UserError

# A data set may take this share of an accelerator's memory; a larger one stays in the computer's.
_RESIDENT_SHARE = 0.5


class TensorDataModule(LightningDataModule):
    """Keeps a whole data set in memory and cuts batches from it; a data set is a subclass with a `read` method.

    After `setup` the attributes input_shape (C, *spatial), num_classes, class_names, mean, std (per channel, in
    [0, 1] for images) and dataset describe the data; they come from the data alone.

    Args:
        batch_size: images per training step; the last, ragged batch of an epoch is dropped.
        eval_batch_size: images per validation or test step; every image is used.
        train_size, val_size: use only so many images, a stratified subset nested in the larger ones.
        device: where the data live: "cpu", or "auto" for the run's device if they fit there.
        augment: random changes of training batches.
        seed: with the epoch, decides the order of the training images and their augmentation.

    Raises:
        UserError: for a size that the data cannot give.
    """

    preprocessing = "plain"

    def __init__(
        self,
        batch_size: int = 32,
        eval_batch_size: int = 500,
        train_size: int | None = None,
        val_size: int | None = None,
        device: Literal["auto", "cpu"] = "auto",
        augment: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = {"batch_size": batch_size, "eval_batch_size": eval_batch_size}
        sizes |= {name: n for name, n in {"train_size": train_size, "val_size": val_size}.items() if n is not None}
        for name, size in sizes.items():
            if size < 1:
                raise UserError(f"{name} must be at least 1, got {size}")
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.train_size, self.val_size = train_size, val_size
        self.device = device
        self.augment = augment
        self.seed = seed
        self._splits: Splits | None = None

    @abstractmethod
    def read(self) -> Splits:
        """Read the data set into memory and split off validation."""

    def setup(self, stage: str | None = None) -> None:
        """Read the data once, whichever stage asks first."""
        if self._splits is not None:
            return
        splits = self.read()
        self.training = _subset("train_size", splits.training, self.train_size)
        self.validation = _subset("val_size", splits.validation, self.val_size)
        self.check_batch_size(self.batch_size)
        self.dataset = splits.dataset
        self.class_names = splits.class_names
        self.num_classes = len(splits.class_names)
        self.checksums = splits.checksums
        self.input_shape = tuple(self.training.inputs.shape[1:])
        self.scale = 1 / 255 if self.training.inputs.dtype == torch.uint8 else 1.0
        self.mean, self.std = mean_and_std(self.training.inputs, self.scale)
        self._splits = splits

    def check_batch_size(self, batch_size: int) -> None:
        """Raise UserError if an epoch would not hold a single batch."""
        if batch_size > len(self.training):
            raise UserError(
                f"batch_size must be at most {len(self.training)}, the number of training images, got {batch_size}"
            )

    def description(self) -> dict[str, Any]:
        """What best.ckpt needs to say of its data, so that a prediction needs no data set: plain values only."""
        return {
            "dataset": self.dataset,
            "input_shape": list(self.input_shape),
            "num_classes": self.num_classes,
            "class_names": list(self.class_names),
            "mean": list(self.mean),
            "std": list(self.std),
            "scale": self.scale,
            "preprocessing": self.preprocessing,
            "checksums": dict(self.checksums),
        }

    def train_dataloader(self) -> TensorLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        order = EpochOrder(len(self.training), self.seed, rank, world_size)
        return self._loader(self.training, self.batch_size, order)

    def val_dataloader(self) -> TensorLoader:
        return self._loader(self.validation, self.eval_batch_size)

    def test_dataloader(self) -> TensorLoader:
        assert self._splits is not None, "setup comes first"
        return self._loader(self._splits.test(), self.eval_batch_size)

    def transfer_batch_to_device(
        self, batch: tuple[Tensor, Tensor], device: torch.device, dataloader_idx: int
    ) -> tuple[Tensor, Tensor]:
        inputs, labels = batch
        return inputs.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    def _loader(self, data: Labelled, batch_size: int, order: EpochOrder | None = None) -> TensorLoader:
        device = self._home(data)
        data = Labelled(data.inputs.to(device), data.labels.to(device))
        augment = self.augment if order is not None else None
        return TensorLoader(data, batch_size, self.mean, self.std, self.scale, order, augment)

    def _home(self, data: Labelled) -> torch.device:
        """The device that holds the data: copying every batch to an accelerator costs more than a small step."""
        if self.device == "cpu" or self.trainer is None:
            return torch.device("cpu")
        device: torch.device = self.trainer.strategy.root_device
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if data.inputs.nbytes > _RESIDENT_SHARE * free:
                return torch.device("cpu")
        return device


def _subset(name: str, data: Labelled, size: int | None) -> Labelled:
    if size is not None and size > len(data):
        raise UserError(f"{name} must be at most {len(data)}, the images in that split, got {size}")
    return data.first(size)
