"""Any map-style torch Dataset trains like a data set in memory."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import FakeData

from cnnlab.data.augment import Shift
from cnnlab.data.datamodule import DataModule
from cnnlab.data.lazy_samples import LazySamples
from cnnlab.data.loading.worker_loader import WorkerLoader
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Splits
from cnnlab.errors import UserError


class Fake(DataModule):
    """torchvision's FakeData: Pillow images and no attribute that holds the labels."""

    def read(self) -> Splits:
        test, rest = LazySamples.from_dataset(FakeData(100, (3, 12, 10), num_classes=4)).split(20)
        validation, training = rest.split(20)
        return Splits("fake", tuple("abcd"), training, validation, lambda: test, {})


def ready(**loading: Any) -> Fake:
    data = Fake(**{"batch_size": 8, **loading})
    data.setup()
    return data


@pytest.mark.parametrize("num_workers", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_torchvisions_datasets_work_both_ways(num_workers: int) -> None:
    held, read = ready(), ready(in_memory=False, num_workers=num_workers)
    assert held.input_shape == read.input_shape == (3, 12, 10)
    assert isinstance(held.training, TensorSamples)
    assert isinstance(read.train_dataloader(), WorkerLoader)
    pairs = [*zip(held.train_dataloader(), read.train_dataloader(), strict=True)]
    pairs += zip(held.test_dataloader(), read.test_dataloader(), strict=True)
    for (a, c), (b, d) in pairs:
        assert torch.equal(a, b)
        assert torch.equal(c, d)


def test_a_data_set_in_memory_can_be_read_by_workers(tmp_path: Path) -> None:
    class Held(Fake):
        def read(self) -> Splits:
            splits = super().read()
            assert isinstance(splits.training, LazySamples)
            return Splits("h", tuple("abcd"), splits.training.load(0, ""), splits.validation, splits.test, {})

    data = Held(batch_size=8, in_memory=False, num_workers=1)
    data.setup()
    assert all(
        torch.equal(a[0], b[0]) for a, b in zip(data.train_dataloader(), ready().train_dataloader(), strict=True)
    )


def test_the_order_follows_seed_and_epoch_and_a_look_in_between_disturbs_nothing() -> None:
    def labels(loader: Any, epoch: int, look_after: int | None = None) -> list[Tensor]:
        loader.sampler.set_epoch(epoch)
        seen = []
        for number, (_, batch) in enumerate(loader):
            if number == look_after:
                next(iter(loader))
            seen.append(batch)
        return seen

    expected = labels(ready().train_dataloader(), 3)
    loader = ready(in_memory=False, num_workers=2).train_dataloader()
    labels(loader, 0)
    for seen in (labels(loader, 3), labels(loader, 3, look_after=1)):
        assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))


def test_augmentation_is_the_same_in_every_run() -> None:
    def epoch() -> list[Tensor]:
        return [inputs for inputs, _ in ready(in_memory=False, num_workers=2, augment=Shift(2)).train_dataloader()]

    first, second = epoch(), epoch()
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], next(iter(ready().train_dataloader()))[0])


def test_reading_draws_no_random_numbers() -> None:
    """How the data are read must not change how the network is initialised."""
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    list(ready(in_memory=False, num_workers=2).train_dataloader())
    assert torch.equal(torch.rand(1), expected)


class Numbers(Dataset[tuple[np.ndarray[Any, Any], int]]):
    """float64 arrays, of which some have a shape of their own."""

    targets = [0, 1] * 10

    def __init__(self, odd_one: int = -1) -> None:
        self.odd_one = odd_one

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> tuple[np.ndarray[Any, Any], int]:
        return np.full((1, 5 if index == self.odd_one else 4), float(index)), index % 2


def test_arrays_become_float32_and_targets_are_labels() -> None:
    part, rest = LazySamples.from_dataset(Numbers()).split(6)
    for samples in (part, rest, rest.split(4)[1], rest.first(5)):
        loaded = samples.load(0, "")
        assert (loaded.inputs.dtype, loaded.labels.dtype) == (torch.float32, torch.int64)
        assert torch.equal(loaded.inputs[:, 0, 0].long() % 2, loaded.labels)
    numbers = torch.cat([part.load(0, "").inputs, rest.load(0, "").inputs])[:, 0, 0]
    assert numbers.sort().values.tolist() == list(range(20))


def test_parts_keep_samples_and_labels_together() -> None:
    part = LazySamples.from_dataset(Numbers()).every(3, 1)
    loaded = part.load(0, "")
    assert len(part) == 7
    assert loaded.inputs[:, 0, 0].tolist() == [1, 4, 7, 10, 13, 16, 19]
    assert loaded.labels.tolist() == [1, 0, 1, 0, 1, 0, 1]


class Images(Numbers):
    """Some or all of uint8."""

    def __init__(self, *images: int) -> None:
        super().__init__()
        self.images = images

    def __getitem__(self, index: int) -> tuple[np.ndarray[Any, Any], int]:
        values, label = super().__getitem__(index)
        return (values.astype(np.uint8) if index in self.images else values), label


class Parts(DataModule):
    """Splits of different datasets."""

    def __init__(self, *parts: Dataset[Any], **loading: Any) -> None:
        super().__init__(batch_size=4, num_workers=0, **loading)
        self.parts = [LazySamples.from_dataset(part) for part in parts]

    def read(self) -> Splits:
        return Splits("parts", ("a", "b"), self.parts[0], self.parts[1], lambda: self.parts[2], {})


def read_all(data: DataModule) -> None:
    data.setup()
    list(data.train_dataloader()), list(data.val_dataloader()), list(data.test_dataloader())


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(("place", "odd_one"), [(0, 7), (1, 0), (1, 19), (2, 19)])
def test_samples_of_different_types_are_refused_wherever_they_are(place: int, odd_one: int, in_memory: bool) -> None:
    parts: list[Dataset[Any]] = [Numbers(), Numbers(), Numbers()]
    parts[place] = Images(odd_one)
    with pytest.raises(UserError, match=r"samples must be of one type, got (uint8 and floats|floats and uint8): uint8"):
        read_all(Parts(*parts, in_memory=in_memory))


@pytest.mark.parametrize("in_memory", [True, False])
def test_splits_of_different_types_are_refused(in_memory: bool) -> None:
    for place, split in ((1, "validation"), (2, "test")):
        parts: list[Dataset[Any]] = [Numbers(), Numbers(), Numbers()]
        parts[place] = Images(*range(20))
        with pytest.raises(UserError, match=f"the first of the {split} samples is not like those of training: .*uint8"):
            read_all(Parts(*parts, in_memory=in_memory))


def test_a_whole_batch_of_another_type_is_refused() -> None:
    data = Parts(Numbers(), Images(16, 17, 18, 19), Numbers(), in_memory=False, eval_batch_size=4)
    with pytest.raises(UserError, match="samples must be of one type, got uint8 and floats"):
        read_all(data)


class Jittered(Numbers):
    """A user's random transforms, by all three libraries that people draw from."""

    def __getitem__(self, index: int) -> tuple[np.ndarray[Any, Any], int]:
        _, label = super().__getitem__(index)
        return np.array([[random.random(), np.random.random(), torch.rand(()).item()]]), label


def test_random_transforms_follow_seed_and_epoch() -> None:
    def seen(seed: int, epoch: int) -> Tensor:
        data = Parts(Jittered(), Jittered(), Jittered(), in_memory=False, seed=seed)
        data.num_workers = 2
        data.setup()
        data.mean, data.std = (0.0,), (1.0,)  # those of the samples are drawn too
        loader = data.train_dataloader()
        assert loader.sampler is not None
        loader.sampler.set_epoch(epoch)
        return torch.cat([inputs for inputs, _ in loader]).sort(dim=0).values[:, 0]

    first = seen(0, 0)
    assert torch.equal(seen(0, 0), first)
    for other in (seen(0, 1), seen(1, 0)):
        assert not any(torch.equal(other[:, column], first[:, column]) for column in range(3))


@pytest.mark.parametrize("odd_one", [3, 19])
def test_samples_of_different_shapes_are_refused(odd_one: int) -> None:
    with pytest.raises(UserError, match=r"samples must have one shape, got 1x\d and 1x\d"):
        LazySamples.from_dataset(Numbers(odd_one)).load(0, "")


def test_more_than_fits_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnlab.data.files.memory.available_bytes", lambda: 2**10)
    with pytest.raises(UserError, match="60 samples would take .* data.in_memory=false"):
        ready()
