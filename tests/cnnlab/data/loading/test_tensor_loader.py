"""Batches from tensors: right values, right order, every sample once, the same again for the same seed and epoch."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from lightning.pytorch import LightningModule, Trainer
from omegaconf import OmegaConf
from torch import Tensor

from cnnlab.data.augment import Affine, Shift
from cnnlab.data.loading import tensor_loader
from cnnlab.data.loading.tensor_loader import EpochOrder, TensorLoader, seed_for
from cnnlab.data.samples import TensorSamples
from conftest import PROJECT

SHAPES = [(1, 28, 28), (3, 9, 7), (2, 40), (1, 5, 6, 7)]
# Of numbers; word_dropout is for texts.
AUGMENTATIONS = sorted({path.stem for path in (PROJECT / "conf/augment").glob("*.yaml")} - {"none", "word_dropout"})
MEAN, STD = (0.13, 0.4, 0.7), (0.31, 0.2, 0.5)


def numbered(num_samples: int, shape: tuple[int, ...] = (1, 28, 28), dtype: torch.dtype = torch.uint8) -> TensorSamples:
    """Random samples; the label is the sample's number."""
    inputs = torch.randint(256, (num_samples, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return TensorSamples(inputs if dtype == torch.uint8 else inputs / 100 - 1, torch.arange(num_samples))


def loader(data: TensorSamples, batch_size: int, order: EpochOrder | None = None, **settings: object) -> TensorLoader:
    channels = data.inputs.shape[1]
    scale = 1 / 255 if data.inputs.dtype == torch.uint8 else 1.0
    return TensorLoader(data, batch_size, MEAN[:channels], STD[:channels], scale, order, **settings)


def normalised(data: TensorSamples, indices: Sequence[int]) -> np.ndarray:
    inputs = data.inputs.numpy().astype(np.float64)[indices]
    per_channel = (1, inputs.shape[1], *[1] * (inputs.ndim - 2))
    mean = np.array(MEAN[: inputs.shape[1]]).reshape(per_channel)
    std = np.array(STD[: inputs.shape[1]]).reshape(per_channel)
    return np.asarray((inputs / (255 if data.inputs.dtype == torch.uint8 else 1) - mean) / std)


def labels_of(batches: TensorLoader) -> list[int]:
    return [label for _, labels in batches for label in labels.tolist()]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("training", [True, False])
def test_values_are_scaled_less_the_mean_over_the_deviation(
    shape: tuple[int, ...], dtype: torch.dtype, training: bool
) -> None:
    data = numbered(50, shape, dtype)
    for inputs, labels in loader(data, 16, EpochOrder(50, seed=0) if training else None):
        assert (inputs.dtype, labels.dtype) == (torch.float32, torch.int64)
        np.testing.assert_allclose(inputs.numpy(), normalised(data, labels.tolist()), atol=2e-6)


def test_evaluation_keeps_the_order_and_the_ragged_last_batch() -> None:
    batches = loader(numbered(50), 16)
    assert len(batches) == 4
    assert [tuple(inputs.shape) for inputs, _ in batches] == [(16, 1, 28, 28)] * 3 + [(2, 1, 28, 28)]
    assert labels_of(batches) == list(range(50))


def test_training_drops_the_ragged_last_batch() -> None:
    batches = loader(numbered(50), 16, EpochOrder(50, seed=0))
    assert len(batches) == 3
    assert [len(labels) for _, labels in batches] == [16, 16, 16]
    assert len(set(labels_of(batches))) == 48


def test_training_uses_every_sample_once_an_epoch() -> None:
    order = EpochOrder(48, seed=0)
    batches = loader(numbered(48), 16, order)
    for epoch in range(3):
        order.set_epoch(epoch)
        assert sorted(labels_of(batches)) == list(range(48))


def test_order_is_a_function_of_seed_and_epoch_and_nothing_else() -> None:
    def epoch(number: int, seed: int) -> list[int]:
        order = EpochOrder(64, seed)
        order.set_epoch(number)
        return labels_of(loader(numbered(64), 8, order))

    torch.manual_seed(0)
    expected = epoch(3, seed=5)
    torch.manual_seed(1)
    order = EpochOrder(64, seed=5)
    batches = loader(numbered(64), 16, order)
    for number in (0, 7, 3):
        order.set_epoch(number)
        last = labels_of(batches)
    assert last == expected
    orders = [epoch(number, seed) for number in range(3) for seed in range(3)]
    assert len({tuple(order) for order in orders}) == 9


def test_orders_of_neighbouring_seeds_and_epochs_are_unrelated() -> None:
    """(seed 0, epoch 1) must not be (seed 1, epoch 0), as adding the two would make it."""
    assert len({seed_for(seed, epoch) for seed in range(20) for epoch in range(20)}) == 400


def test_order_is_the_same_on_every_machine() -> None:
    assert seed_for(3, 7) == 4782766539338417736
    assert EpochOrder(10, seed=0).indices().tolist() == [7, 0, 9, 2, 1, 3, 8, 4, 6, 5]


def test_global_random_state_is_neither_read_nor_changed() -> None:
    before = torch.get_rng_state()
    list(loader(numbered(64), 8, EpochOrder(64, seed=0), augment=Affine()))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("training", [True, False])
def test_batches_do_not_depend_on_the_size_of_a_chunk(monkeypatch: pytest.MonkeyPatch, training: bool) -> None:
    data = numbered(50)
    whole = list(loader(data, 8, EpochOrder(50, seed=0) if training else None))
    monkeypatch.setattr(tensor_loader, "_CHUNK_BYTES", 20 * 28 * 28 * 4)  # two batches and a bit
    pieces = list(loader(data, 8, EpochOrder(50, seed=0) if training else None))
    assert len(whole) == len(pieces)
    for (inputs, labels), (other_inputs, other_labels) in zip(whole, pieces, strict=True):
        assert torch.equal(inputs, other_inputs)
        assert torch.equal(labels, other_labels)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_data_are_left_as_they_are(dtype: torch.dtype) -> None:
    data = numbered(20, dtype=dtype)
    before = data.inputs.clone()
    for batches in (loader(data, 8), loader(data, 8, EpochOrder(20, seed=0), augment=Shift(1))):
        for inputs, _ in batches:
            inputs.zero_()
    assert torch.equal(data.inputs, before)


def test_augmentation_is_the_same_again_and_differs_between_epochs_and_seeds() -> None:
    def first_batch(epoch: int, seed: int) -> Tensor:
        same_image = TensorSamples(numbered(1).inputs.expand(64, 1, 28, 28), torch.arange(64))
        order = EpochOrder(64, seed)
        order.set_epoch(epoch)
        return next(iter(loader(same_image, 16, order, augment=Shift(3))))[0]

    assert torch.equal(first_batch(2, seed=1), first_batch(2, seed=1))
    assert not torch.equal(first_batch(2, seed=1), first_batch(3, seed=1))
    assert not torch.equal(first_batch(2, seed=1), first_batch(2, seed=2))


def test_augmentation_sees_the_stored_values_so_that_zero_is_background() -> None:
    bright = TensorSamples(torch.full((32, 1, 6, 6), 255, dtype=torch.uint8), torch.arange(32))
    images = torch.cat([inputs for inputs, _ in loader(bright, 8, EpochOrder(32, seed=0), augment=Shift(1))])
    background, foreground = (0 - MEAN[0]) / STD[0], (1 - MEAN[0]) / STD[0]
    assert sorted(set(images.flatten().tolist())) == pytest.approx([background, foreground])


def test_evaluation_is_not_augmented() -> None:
    data = numbered(20)
    augmented = next(iter(loader(data, 20, augment=Shift(3))))[0]
    assert torch.equal(augmented, next(iter(loader(data, 20)))[0])


@pytest.mark.parametrize("num_samples", [64, 67])
def test_shards_are_disjoint_and_of_one_length(num_samples: int) -> None:
    shards = []
    for rank in range(4):
        order = EpochOrder(num_samples, seed=0, rank=rank, world_size=4)
        order.set_epoch(1)
        batches = loader(numbered(num_samples), 8, order)
        assert len(batches) == 2
        shards.append(set(labels_of(batches)))
    assert [len(shard) for shard in shards] == [16] * 4
    assert len(set.union(*shards)) == 64


def test_shards_are_augmented_differently() -> None:
    draws = [EpochOrder(8, 0, rank, 2).generator(torch.device("cpu")).initial_seed() for rank in (0, 1)]
    assert draws[0] != draws[1]


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_lightning_announces_every_epoch() -> None:
    """The order follows Lightning's epochs, without a word from the module that is trained."""

    class Remember(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))
            self.seen: list[list[int]] = []

        def on_train_epoch_start(self) -> None:
            self.seen.append([])

        def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
            self.seen[-1] += batch[1].tolist()
            return self.weight * 0

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    module = Remember()
    order = EpochOrder(32, seed=4)
    Trainer(max_epochs=3, accelerator="cpu", barebones=True).fit(module, loader(numbered(32), 8, order))
    for epoch, seen in enumerate(module.seen):
        order.set_epoch(epoch)
        assert seen == order.indices().tolist()
    assert len({tuple(seen) for seen in module.seen}) == 3


@pytest.mark.gpu
def test_batches_of_data_on_a_gpu_are_those_of_the_cpu() -> None:
    data = numbered(64)
    on_gpu = TensorSamples(data.inputs.cuda(), data.labels.cuda())
    pairs = zip(loader(data, 16, EpochOrder(64, 0)), loader(on_gpu, 16, EpochOrder(64, 0)), strict=True)
    for (inputs, labels), (gpu_inputs, gpu_labels) in pairs:
        assert gpu_inputs.is_cuda
        assert gpu_labels.is_cuda
        torch.testing.assert_close(gpu_inputs.cpu(), inputs)
        assert torch.equal(gpu_labels.cpu(), labels)


@pytest.mark.gpu
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_data_on_a_gpu_are_augmented_there_and_the_same_way_again(name: str) -> None:
    data = numbered(64, (2, 40) if name == "time" else (3, 16, 16), torch.float32 if name == "time" else torch.uint8)
    on_gpu = TensorSamples(data.inputs.cuda(), data.labels.cuda())
    settings = {"augment": instantiate(OmegaConf.load(PROJECT / f"conf/augment/{name}.yaml")), "num_classes": 64}
    first, again = (next(iter(loader(on_gpu, 64, EpochOrder(64, 0), **settings))) for _ in range(2))
    plain, _ = next(iter(loader(on_gpu, 64, EpochOrder(64, 0))))
    assert first[0].is_cuda
    assert first[1].is_cuda
    assert first[0].isfinite().all()
    assert not torch.equal(first[0], plain)
    assert all(map(torch.equal, first, again))


def test_weighted_samples_are_drawn_anew_in_each_epoch() -> None:
    """A class of 10 samples comes as often as one of 90; seed and epoch decide the draw, which processes share."""
    labels = (torch.arange(2_000) < 200).long()
    odds = torch.where(labels == 1, 0.9, 0.1)
    order = EpochOrder(2_000, seed=3, weights=odds)
    first = order.indices()
    assert len(first) == 2_000
    assert labels[first].float().mean() == pytest.approx(0.5, abs=0.04)
    assert torch.equal(first, EpochOrder(2_000, seed=3, weights=odds).indices())
    order.set_epoch(1)
    assert not torch.equal(first, order.indices())
    parts = [EpochOrder(2_000, 3, rank, 2, odds).indices() for rank in (0, 1)]
    assert torch.equal(torch.stack(parts, dim=1).flatten(), first)
