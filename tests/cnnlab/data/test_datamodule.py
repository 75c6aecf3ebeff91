"""The data module of any data set: signals, volumes, images; sizes, statistics, batches, errors."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cnnlab.data import facts, split_checks
from cnnlab.data.augment import Shift
from cnnlab.data.datamodule import DataModule
from cnnlab.data.samples import TensorSamples
from cnnlab.data.split_checks import num_copies
from cnnlab.data.splits import Splits
from cnnlab.errors import UserError

SIGNALS = ((2, 30), torch.float32)
IMAGES = ((3, 12, 16), torch.uint8)
VOLUMES = ((1, 5, 6, 7), torch.uint8)
KINDS = pytest.mark.parametrize(("shape", "dtype"), [SIGNALS, IMAGES, VOLUMES], ids=["signals", "images", "volumes"])


class Generated(DataModule):
    """120 training, 40 validation and 50 test samples of four classes."""

    def __init__(self, shape: tuple[int, ...] = (1, 6, 6), dtype: torch.dtype = torch.uint8, **loading: Any) -> None:
        super().__init__(**{"batch_size": 16, "eval_batch_size": 30, **loading})
        self.shape, self.dtype = shape, dtype
        self.reads: list[str] = []

    def read(self) -> Splits:
        self.reads.append("training")
        validation, training = self._samples(160, seed=0).split(40)
        return Splits("generated", ("a", "b", "c", "d"), training, validation, self._test, {"file": "md5"})

    def _test(self) -> TensorSamples:
        self.reads.append("test")
        return self._samples(50, seed=1)

    def _samples(self, num_samples: int, seed: int) -> TensorSamples:
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randint(256, (num_samples, *self.shape), generator=generator, dtype=torch.uint8)
        inputs = inputs if self.dtype == torch.uint8 else inputs / 50 - 2
        return TensorSamples(inputs, torch.arange(num_samples) % 4)


def ready(*arguments: Any, **loading: Any) -> Generated:
    data = Generated(*arguments, **loading)
    data.setup()
    return data


def epoch(data: DataModule, number: int) -> list[tuple[Tensor, Tensor]]:
    loader = data.train_dataloader()
    assert loader.sampler is not None
    loader.sampler.set_epoch(number)
    return list(loader)


@KINDS
def test_what_the_data_say_of_themselves(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    data = ready(shape, dtype)
    assert (data.input_shape, data.num_classes, data.class_names) == (shape, 4, ("a", "b", "c", "d"))
    assert data.description() == {
        "dataset": "generated",
        "input_shape": list(shape),
        "num_classes": 4,
        "targets": "classes",
        "class_names": ["a", "b", "c", "d"],
        "mean": list(data.mean),
        "std": list(data.std),
        "scale": 1 / 255 if dtype == torch.uint8 else 1.0,
        "preprocessing": "plain",
        "kind": {2: "series", 3: "image", 4: "volume"}[len(shape)],
        "noun": {2: "signals", 3: "images", 4: "volumes"}[len(shape)],
        "shuffle_axis": "none",
        "seed": 0,
        "fold": None,
        "checksums": {"file": "md5"},
    }


@KINDS
@pytest.mark.parametrize("train_size", [None, 24])
def test_statistics_are_those_of_the_samples_trained_on(
    shape: tuple[int, ...], dtype: torch.dtype, train_size: int | None
) -> None:
    data = ready(shape, dtype, train_size=train_size)
    values = data.training.inputs.numpy().astype(np.float64) * data.scale
    assert len(values) == (train_size or 120)
    axes = (0, *range(2, values.ndim))
    np.testing.assert_allclose(data.mean, values.mean(axes), rtol=1e-9)
    np.testing.assert_allclose(data.std, values.std(axes), rtol=1e-9)
    if train_size:
        assert data.mean != ready(shape, dtype).mean


@KINDS
def test_an_epoch_is_normal_and_evaluation_uses_the_same_statistics(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    data = ready(shape, dtype, batch_size=20)
    inputs = torch.cat([inputs for inputs, _ in epoch(data, 0)]).transpose(0, 1).flatten(1)
    torch.testing.assert_close(inputs.mean(1), torch.zeros(shape[0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(inputs.std(1), torch.ones(shape[0]), atol=1e-3, rtol=0)
    images, labels = next(iter(data.val_dataloader()))
    per_channel = (shape[0], *[1] * (len(shape) - 1))
    stored = images[0] * torch.tensor(data.std).reshape(per_channel) + torch.tensor(data.mean).reshape(per_channel)
    torch.testing.assert_close(stored, data.validation.inputs[0] * data.scale, atol=1e-5, rtol=0)
    assert labels.tolist() == data.validation.labels[:30].tolist()


def test_batches_of_every_split() -> None:
    data = ready()
    assert [len(labels) for _, labels in data.train_dataloader()] == [16] * 7  # 8 of 120 dropped
    assert [len(labels) for _, labels in data.val_dataloader()] == [30, 10]
    assert [len(labels) for _, labels in data.test_dataloader()] == [30, 20]


def test_test_split_is_read_only_when_asked_for() -> None:
    data = ready()
    list(data.train_dataloader()), list(data.val_dataloader())
    assert data.reads == ["training"]
    data.setup("test")
    data.test_dataloader()
    assert data.reads == ["training", "test"]


def test_smaller_sizes_are_nested_and_move_nothing_between_splits() -> None:
    whole, small, tiny = ready(), ready(train_size=60, val_size=12), ready(train_size=20, val_size=8)
    assert torch.equal(small.training.inputs, whole.training.inputs[:60])
    assert torch.equal(tiny.training.inputs, whole.training.inputs[:20])
    assert torch.equal(tiny.validation.inputs, whole.validation.inputs[:8])
    assert torch.bincount(tiny.training.labels).tolist() == [5] * 4
    assert torch.bincount(small.validation.labels).tolist() == [3] * 4
    assert len(next(iter(ready(train_size=60).val_dataloader()))[1]) == 30
    assert len(tiny.test_dataloader().data) == 50


def test_seed_changes_the_order_and_not_the_split() -> None:
    first, second = ready(seed=0), ready(seed=1)
    assert torch.equal(first.training.inputs, second.training.inputs)
    assert torch.equal(first.validation.inputs, second.validation.inputs)
    assert not torch.equal(epoch(first, 0)[0][0], epoch(second, 0)[0][0])
    assert torch.equal(epoch(first, 3)[0][0], epoch(ready(seed=0), 3)[0][0])


def test_only_training_is_augmented() -> None:
    plain, augmented = ready(), ready(augment=Shift(2))
    assert not torch.equal(epoch(plain, 0)[0][0], epoch(augmented, 0)[0][0])
    assert torch.equal(epoch(plain, 0)[0][1], epoch(augmented, 0)[0][1])
    assert torch.equal(epoch(augmented, 1)[2][0], epoch(augmented, 1)[2][0])
    for split in ("val_dataloader", "test_dataloader"):
        assert torch.equal(next(iter(getattr(plain, split)()))[0], next(iter(getattr(augmented, split)()))[0])


@pytest.mark.parametrize(("device", "expected"), [("auto", "meta"), ("cpu", "cpu")])
def test_data_live_on_the_runs_device_or_the_cpu(device: Any, expected: str) -> None:
    data = ready(device=device)
    data.accelerator = "meta"
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        assert {loader.data.inputs.device.type, loader.data.labels.device.type} == {expected}
    batch = (torch.zeros(2, 1, 6, 6), torch.zeros(2, dtype=torch.int64))
    moved = data.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert [tensor.device.type for tensor in moved] == ["meta", "meta"]


@pytest.mark.gpu
def test_data_lie_on_the_gpu_if_they_leave_room_for_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    data = ready()
    data.accelerator = "cuda"
    assert all(tensor.is_cuda for tensor in epoch(data, 0)[0])
    size = data.training.inputs.nbytes  # type: ignore[union-attr]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (size, size))
    assert not any(tensor.is_cuda for tensor in epoch(data, 0)[0])


def test_each_process_of_a_run_on_many_gets_its_own_samples() -> None:
    seen = []
    for rank in range(2):
        data = ready()
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)
        seen.append([{sample.numpy().tobytes() for sample in inputs} for inputs, _ in epoch(data, 0)])
    whole = [{sample.numpy().tobytes() for sample in inputs} for inputs, _ in epoch(ready(), 0)]
    assert [len(batch) for batch in seen[0]] == [8] * 7  # half a batch of 16
    assert [first | second for first, second in zip(*seen, strict=True)] == whole


def test_each_process_reads_only_its_own_samples_from_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """In an epoch; the samples by which mean and deviation are computed are read by each."""
    read: list[set[int]] = []
    for rank in range(2):
        data = ready(in_memory=False, num_workers=0)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2)
        own: list[int] = []
        cls, take = type(data.training), type(data.training).__getitem__
        monkeypatch.setattr(
            cls, "__getitem__", lambda samples, i, own=own, take=take: own.append(i) or take(samples, i)
        )
        for _ in data.train_dataloader():
            pass
        monkeypatch.undo()
        assert len(own) == len(set(own)) == 56  # seven batches of 8
        read.append(set(own))
    assert not read[0] & read[1]


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("num_processes", [2, 3])
@pytest.mark.parametrize(("val_size", "eval_batch_size"), [(40, 10), (37, 9), (25, 4), (25, 3), (3, 1), (31, 15)])
def test_processes_share_validation_and_wait_for_none(
    val_size: int, eval_batch_size: int, num_processes: int, in_memory: bool
) -> None:
    """Every sample is in one part, in the order of the split, and no part has more batches than another."""
    whole = ready(val_size=val_size).validation.labels.tolist()
    parts, numbers = [], []
    for rank in range(num_processes):
        data = ready(val_size=val_size, eval_batch_size=eval_batch_size, in_memory=in_memory, num_workers=0)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=num_processes)
        batches = [labels for _, labels in data.val_dataloader()]
        assert len(batches) == len(data.val_dataloader())
        assert max(map(len, batches)) <= eval_batch_size + 2
        numbers.append(len(batches))
        parts.append(torch.cat(batches).tolist())
    assert [whole[rank::num_processes] for rank in range(num_processes)] == parts
    assert len(set(numbers)) == 1


def test_more_processes_than_samples_are_refused() -> None:
    data = ready(val_size=2, batch_size=12)
    data.check_processes(2)
    with pytest.raises(UserError, match="3 processes cannot share the validation split: .* at least 3 samples, got 2"):
        data.check_processes(3)
    data.trainer = SimpleNamespace(global_rank=0, world_size=60)
    with pytest.raises(UserError, match="60 processes cannot share the test split: .* got 50"):
        data.test_dataloader()


@pytest.mark.parametrize(
    ("batch_size", "num_processes", "words"),
    [
        (33, 2, "a multiple of its 2 processes, got 33; data.batch_size=32 or data.batch_size=34 would do"),
        (3, 4, "a multiple of its 4 processes, got 3; data.batch_size=4 would do"),
        (118, 8, "a multiple of its 8 processes, got 118; data.batch_size=112 or data.batch_size=120 would do"),
        (117, 59, "a multiple of its 59 processes, got 117; data.batch_size=59 or data.batch_size=118 would do"),
        (120, 121, "a multiple of its 121 processes, got 120, and there are only 120 training samples"),
    ],
)
def test_a_batch_that_processes_cannot_share_is_refused_with_the_nearest_sizes(
    batch_size: int, num_processes: int, words: str
) -> None:
    data = ready()
    data.check_batch_size(batch_size)
    with pytest.raises(UserError, match=words):
        data.check_batch_size(batch_size, num_processes)
    data.check_batch_size(96, 8)


class Given(DataModule):
    """Splits as they are handed over."""

    def __init__(
        self, training: TensorSamples, validation: TensorSamples, test: TensorSamples, late: bool = False
    ) -> None:
        super().__init__(batch_size=4)
        self.given, self.late = (training, validation, test), late

    def read(self) -> Splits:
        training, validation, test = self.given
        return Splits("given", ("a", "b"), training, validation, (lambda: test) if self.late else test, {})


def labelled(num_samples: int = 12, dtype: torch.dtype = torch.float32, **changed: Any) -> TensorSamples:
    generator = torch.Generator().manual_seed(num_samples)
    inputs = (100 * torch.rand(num_samples, 1, 6, 6, generator=generator)).to(dtype)
    return TensorSamples(**{"inputs": inputs, "labels": torch.arange(num_samples) % 2} | changed)


PROBLEMS = {
    "must be from 0 to 1, got 2": {"labels": torch.tensor([0, 1, 2, 1])},
    "must be from 0 to 1, got -1": {"labels": torch.tensor([0, 1, -1, 1])},
    "must be from 0 to 1, got 1099511627776": {"labels": torch.tensor([0, 2**40, 1, 1])},
    "must have one shape, got 1x6x5 and 1x6x6": {"inputs": torch.rand(4, 1, 6, 5)},
    "must be of one type, got uint8 and floats": {"inputs": torch.ones(4, 1, 6, 6, dtype=torch.uint8)},
    "must be of one type, got integers and floats": {"inputs": torch.ones(4, 1, 6, 6, dtype=torch.int16)},
    "2 of the .* samples hold NaN or infinity": {
        "inputs": torch.rand(4, 1, 6, 6).index_fill(0, torch.tensor([1, 3]), torch.inf)
    },
}


@pytest.mark.parametrize("message", PROBLEMS)
@pytest.mark.parametrize("place", ["training", "validation", "test", "late test"])
def test_splits_that_do_not_fit_together_are_refused(message: str, place: str) -> None:
    parts = {"training": labelled(12), "validation": labelled(8), "test": labelled(10)}
    parts[place.removeprefix("late ")] = labelled(4, **PROBLEMS[message])
    data = Given(*parts.values(), late=place == "late test")
    if place == "training" and "must have one" in message:
        return  # training is what the others are measured by
    if place == "training" and "must be of one type" in message:
        message = "of one type, got floats and (uint8|integers)"
    with pytest.raises(UserError, match=message):
        set_up_with_test(data)


def set_up_with_test(data: DataModule) -> None:
    data.setup()
    data.test_dataloader()


def warnings_of(caplog: pytest.LogCaptureFixture, *splits: TensorSamples) -> list[str]:
    caplog.clear()
    Given(*splits).setup()
    return [record.getMessage() for record in caplog.records]


def test_samples_in_two_splits_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    for dtype in (torch.float32, torch.uint8, torch.bfloat16):
        training, validation, test = labelled(12, dtype), labelled(8, dtype), labelled(10, dtype)
        assert warnings_of(caplog, training, validation, test) == []
        copies = test.inputs.clone()
        copies[[2, 5, 7]] = training.inputs[[11, 0, 0]]
        copies[5, 0, 3, 3] += 1
        assert warnings_of(caplog, training, validation, TensorSamples(copies, test.labels)) == [
            "WARNING: 2 of 10 test samples are also training samples; scores on them are too good"
        ]
        (line,) = warnings_of(caplog, training, TensorSamples(training.inputs[:4], training.labels[:4]), test)
        assert "4 of 4 validation samples are also" in line


def test_samples_that_differ_in_one_value_are_no_copies() -> None:
    images = torch.zeros(300, 1, 28, 28, dtype=torch.uint8)
    images[torch.arange(300), 0, torch.arange(300) // 28, torch.arange(300) % 28] = 1
    assert num_copies(images[:150], images[150:]) == 0
    assert num_copies(images[100:200], images[150:]) == 50


def test_a_class_that_a_split_lacks_is_told(caplog: pytest.LogCaptureFixture) -> None:
    only_a = labelled(8, labels=torch.zeros(8, dtype=torch.int64))
    assert warnings_of(caplog, labelled(12), only_a, labelled(10)) == [
        "WARNING: validation has no samples of b (6 in training); its scores say nothing of these classes"
    ]
    (line,) = warnings_of(caplog, labelled(12), only_a, only_a)
    assert "validation has no samples of b (6 in training); test has no samples of b" in line


def test_a_class_of_one_sample_is_told(caplog: pytest.LogCaptureFixture) -> None:
    labels = torch.cat([torch.zeros(39, dtype=torch.int64), torch.ones(1, dtype=torch.int64)])
    test, rest = labelled(40, labels=labels).split(10)
    validation, training = rest.split(10)
    (line,) = warnings_of(caplog, training, validation, test)
    assert line.startswith("WARNING: validation has no samples of b (1 in training); test has no samples of b (1 in")


def test_values_too_large_to_be_learned_are_told(caplog: pytest.LogCaptureFixture) -> None:
    prices = torch.tensor([[1.0, 900_000.0], [2.0, 1_100_000.0]])
    split_checks.warn_of_large_values(prices)
    (line,) = caplog.messages
    assert "mean 1e+06, standard deviation 1e+05" in line
    assert "save (value - 1e+06) / 1e+05 instead" in line
    split_checks.warn_of_large_values((prices - prices.mean(dim=0)) / prices.std(dim=0))
    assert len(caplog.messages) == 1


def test_an_epoch_of_few_steps_is_told_with_a_size_that_gives_more() -> None:
    (hint,) = (fact for fact in ready(batch_size=100).facts() if "step" in fact)
    assert hint == "an epoch has only 1 step of 100 samples; data.batch_size=16 gives 7 steps an epoch"
    assert facts.few_steps(49, 32) == "an epoch has only 1 step of 32 samples; data.batch_size=8 gives 6 steps an epoch"
    assert facts.few_steps(128, 32) is None
    assert facts.few_steps(9, 9) is None, "batches of one sample are no advice"


def test_a_split_of_another_scale_is_told(caplog: pytest.LogCaptureFixture) -> None:
    small = labelled(10)
    (line,) = warnings_of(caplog, labelled(12), labelled(8), TensorSamples(small.inputs / 255, small.labels))
    assert "the largest number in training is 9" in line
    assert "in test 0.3" in line


def test_a_subset_says_nothing_of_its_split(caplog: pytest.LogCaptureFixture) -> None:
    ready(val_size=2)
    assert not caplog.records


@pytest.mark.parametrize(
    ("loading", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"batch_size": -4}, "batch_size must be at least 1, got -4"),
        ({"eval_batch_size": 0}, "eval_batch_size must be at least 1, got 0"),
        ({"train_size": 0}, "train_size must be at least 1, got 0"),
        ({"val_size": -1}, "val_size must be at least 1, got -1"),
        (
            {"batch_size": 121},
            "batch_size must be at most 120, the number of training samples, got 121; data.batch_size=64 fits",
        ),
        (
            {"train_size": 10},
            "batch_size must be at most 10, the number of training samples, got 16; data.batch_size=8 fits",
        ),
        ({"train_size": 121}, "train_size must be at most 120, the samples in that split, got 121"),
        ({"val_size": 41}, "val_size must be at most 40, the samples in that split, got 41"),
    ],
)
def test_sizes_that_the_data_cannot_give_are_refused(loading: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        ready(**loading)


def test_a_batch_as_large_as_the_training_set_is_one_step() -> None:
    assert [len(labels) for _, labels in ready(batch_size=120).train_dataloader()] == [120]


def test_evaluation_batches_may_be_larger_than_the_split() -> None:
    assert [len(labels) for _, labels in ready(eval_batch_size=1000).val_dataloader()] == [40]
