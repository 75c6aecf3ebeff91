"""The LightningDataModule of every data set."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from cnnlab.data import facts, split_checks
from cnnlab.data.augment import Augmentation
from cnnlab.data.lazy_samples import LazySamples, joined
from cnnlab.data.loading.normalisation import mean_and_std
from cnnlab.data.loading.tensor_loader import EpochOrder, TensorLoader
from cnnlab.data.loading.worker_loader import WorkerLoader
from cnnlab.data.samples import TensorSamples
from cnnlab.data.shuffled_axis import Axis, ShuffledAxis
from cnnlab.data.splits import Samples, Splits
from cnnlab.errors import UserError

# A data set may take this share of an accelerator's free memory; a larger one stays in the memory of the computer.
_RESIDENT_SHARE = 0.5
_MAX_WORKERS = 8
DEFAULT_BATCH_SIZE = 32
# For data outside memory, mean and deviation are computed from this many samples, of this many bytes at most.
_STATISTICS_SAMPLES, _STATISTICS_BYTES = 10_000, 2**28

_KINDS = {1: "series", 2: "image", 3: "volume"}
# What the samples of a kind are called in messages and figures.
_NOUNS = {
    "series": "signals",
    "image": "images",
    "volume": "volumes",
    "audio": "recordings",
    "spectrogram": "recordings",
    "text": "texts",
}

Loader = TensorLoader | WorkerLoader


class DataModule(LightningDataModule):
    """Batches, splits and statistics for any data; a data set is a subclass with a `read` method.

    With in_memory the whole data set lies in memory, on the run's device if it fits there, and batches are cut from
    it as tensors. Otherwise a torch DataLoader's workers read the samples of each batch when its turn comes.

    After `setup` the attributes input_shape (C, *spatial), num_classes, class_names, mean, std (per channel, in
    [0, 1] for images) and dataset describe the data; they come from the data alone. If the data are not in memory,
    mean and std are computed from 10,000 training samples or 256 MiB of them.

    If a run has several processes, each of them gets its own part of every split. Together their batches of a step are
    the batch of a run in one process, and every validation and test sample is seen once.

    Args:
        batch_size: samples per training step, of all processes together; the last, ragged batch of an epoch is
            dropped. auto: as many as fit into the GPU's memory, up to 512, which a run finds out before it starts; 32
            elsewhere.
        eval_batch_size: samples per validation or test step of each process; every sample is used.
        train_size, val_size: use only so many samples, a stratified subset nested in the larger ones.
        in_memory: whether all samples are read once and kept in memory, or each sample is read in every epoch.
        num_workers: processes that read samples; None: one for each thread of torch, 8 at most.
        device: where data in memory live: "cpu", or "auto" for the run's device if they fit there.
        augment: random changes of training batches.
        shuffle_axis: reorder the columns, rows, pixels, time steps or words of all samples by one permutation; the
            data set is then named after it.
        fold: cut training and validation samples together into `num_folds` stratified parts of one size, the same for
            every seed, and validate on this one (from 0) after training on the others; the test split stays as it is.
            None: the data set's own validation split.
        num_folds: into how many.
        balanced: draw the training samples such that every class comes equally often: with replacement, anew in each
            epoch, so that samples of a rare class come several times. An epoch stays as long as it is.
        seed: with the epoch, decides the order of the training samples and their augmentation; also the permutation.

    Raises:
        UserError: for a size that the data cannot give.
    """

    targets: str = "classes"  # or "multilabel", several labels at once, or "values", for regression
    kind: str | None = None  # image, series, volume, audio, spectrogram or text; None: what the number of dims suggests
    preprocessing = "plain"
    vocabulary: tuple[str, ...] | None = None  # of texts: the words in the order of their numbers
    has_known_splits = False  # True: published splits, which need no check for copies
    has_own_folds = False  # True: `read` returns the splits of self.fold, and says in its docstring what a fold is

    def __init__(
        self,
        batch_size: int | Literal["auto"] = DEFAULT_BATCH_SIZE,
        eval_batch_size: int = 500,
        train_size: int | None = None,
        val_size: int | None = None,
        in_memory: bool = True,
        num_workers: int | None = None,
        device: Literal["auto", "cpu"] = "auto",
        augment: Augmentation | None = None,
        shuffle_axis: Axis = "none",
        fold: int | None = None,
        num_folds: int = 10,
        balanced: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if num_folds < 2:
            raise UserError(f"num_folds must be at least 2, got {num_folds}")
        samples_per_step = batch_size if isinstance(batch_size, int) else DEFAULT_BATCH_SIZE
        sizes = {"batch_size": samples_per_step, "eval_batch_size": eval_batch_size}
        sizes |= {name: n for name, n in {"train_size": train_size, "val_size": val_size}.items() if n is not None}
        for name, size in sizes.items():
            if size < 1:
                raise UserError(f"{name} must be at least 1, got {size}")
        if num_workers is not None and num_workers < 0:
            raise UserError(f"num_workers must not be negative, got {num_workers}")
        self.batch_size, self.eval_batch_size = samples_per_step, eval_batch_size
        self._has_auto_batch_size = batch_size == "auto"
        self.train_size, self.val_size = train_size, val_size
        self.in_memory = in_memory
        self.num_workers = min(torch.get_num_threads(), _MAX_WORKERS) if num_workers is None else num_workers
        self.device = device
        self.augment = augment
        self.shuffle_axis = shuffle_axis
        self.fold, self.num_folds = fold, num_folds
        self.check_fold(fold)
        self.balanced = balanced
        self.seed = seed
        self.accelerator = "cpu"  # of the run: cuda, mps or cpu
        self._splits: Splits | None = None

    def prepare_data(self) -> None:
        """Download the files that are not on this machine's disk yet. Data of your own need no download.

        Lightning calls it in only one process of a machine, so it must not set attributes that the others need.
        """

    @abstractmethod
    def read(self) -> Splits:
        """Find the data set, split off the validation samples, and read what belongs in memory."""

    def setup(self, stage: str | None = None) -> None:
        """Read the data at the first call, whatever the stage. On each machine `prepare_data` has run before."""
        if self._splits is not None:
            return
        splits = self.read()
        if self.fold is not None and not self.has_own_folds:
            splits = self._folded(splits, self.fold)
        split_checks.check_names(splits.class_names)
        self.dataset = splits.dataset
        if self.shuffle_axis != "none":
            self.dataset += f"-shuffled-{self.shuffle_axis}"
        self.class_names = splits.class_names
        self.num_classes = len(splits.class_names)
        self.checksums = splits.checksums
        found = {
            "training": _subset("train_size", splits.training, self.train_size),
            "validation": _subset("val_size", splits.validation, self.val_size),
        }
        if not callable(splits.test):
            found["test"] = splits.test
        found = self._loaded({split: self._arranged(samples) for split, samples in found.items()})
        self.training, self.validation = found["training"], found["validation"]
        self._test = found.get("test", splits.test)
        for split, samples in found.items():
            self._check_labels(split, samples)
        if self._has_auto_batch_size:
            self.batch_size = min(self.batch_size, len(self.training))
        self.check_batch_size(self.batch_size)
        self._check_classes()
        some = self._read_some(self.training) if isinstance(self.training, LazySamples) else self.training
        self.input_shape = tuple(some.inputs.shape[1:])
        self._example = some.inputs[0].clone()
        for split, samples in found.items():
            split_checks.check_inputs(split, samples, self._example)
        split_checks.check_augmentation(self.augment, self.kind_of(len(self.input_shape) - 1), self._example)
        split_checks.warn_of_mirrored_digits(self.augment, self.preprocessing)
        self.scale = 1 / 255 if some.inputs.dtype == torch.uint8 else 1.0
        self.mean, self.std = self.statistics(some.inputs)
        self._warn_of_splits(found)
        if self.targets == "values":
            split_checks.warn_of_large_values(self.training.labels)
        self._splits = splits

    def statistics(self, inputs: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation per channel, by which samples (N, C, *spatial) are normalised."""
        return mean_and_std(inputs, self.scale)

    def normalise_by(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Use another mean and deviation per channel than those of the training samples, for example of weights.

        Raises:
            UserError: if their number is not that of the channels.
        """
        if not len(mean) == len(std) == len(self.mean):
            raise UserError(f"expected mean and std for {len(self.mean)} channels, got {len(mean)} and {len(std)}")
        self.mean, self.std = tuple(mean), tuple(std)

    @classmethod
    def kind_of(cls, num_spatial_dims: int) -> str:
        """What a person would take the samples for: image, series, volume, audio, spectrogram or text."""
        return cls.kind or _KINDS.get(num_spatial_dims, "series")

    @property
    def noun(self) -> str:
        """What the samples are called in messages and figures: images, signals, volumes, recordings or texts."""
        return _NOUNS.get(self.kind_of(len(self.input_shape) - 1), "samples")

    def check_fold(self, fold: int | None) -> None:
        """Raise UserError for a fold that there is not."""
        if fold is not None and not 0 <= fold < self.num_folds:
            raise UserError(
                f"fold must be from 0 to {self.num_folds - 1}, as num_folds is {self.num_folds}, got {fold}"
            )

    def check_batch_size(self, batch_size: int, num_processes: int = 1) -> None:
        """Raise UserError if an epoch would not hold a batch, or so many processes could not share it out equally."""
        most = len(self.training)
        if batch_size > most:
            fits = f"; data.batch_size={2 ** (most.bit_length() - 1)} fits" if most else ""
            raise UserError(
                f"batch_size must be at most {most}, the number of training samples, got {batch_size}{fits}"
            )
        if left_over := batch_size % num_processes:
            nearest = (batch_size - left_over, batch_size - left_over + num_processes)
            fitting = " or ".join(f"data.batch_size={size}" for size in nearest if 0 < size <= most)
            raise UserError(
                f"batch_size is the run's and must be a multiple of its {num_processes} processes, got {batch_size}"
                + (f"; {fitting} would do" if fitting else f", and there are only {most} training samples")
            )

    def check_processes(self, num_processes: int) -> None:
        """Raise UserError if so many processes cannot share the batches or the validation samples."""
        self.check_batch_size(self.batch_size, num_processes)
        _check_share("validation", self.validation, num_processes)

    def summary(self) -> str:
        """Describe the data for the log, in lines that fit a narrow terminal."""
        return facts.in_lines(self.facts())

    def facts(self) -> list[str]:
        """Return samples, shape and statistics, how many samples each class has, and whether an epoch is too short."""
        shape = "x".join(map(str, self.input_shape))
        name = self.dataset if self.fold is None else f"{self.dataset}, fold {self.fold} of 0-{self.num_folds - 1}"
        numbers = f", {facts.statistics(self.mean, self.std)}" if self.vocabulary is None else ""
        lines = [
            f"{name}: {len(self.training):,} training and {len(self.validation):,} validation samples "
            f"of {shape}{numbers}"
        ]
        if (counts := self.class_counts()) is not None:
            kinds, about = "classes", f"the largest is {max(counts) / sum(counts):.1%} of them"
            if self.targets == "multilabel":
                kinds, about = "labels", f"{sum(counts) / len(self.training):.2g} of them in a sample on average"
            about += ", drawn equally often" if self.balanced else ""
            lines.append(f"{self.num_classes} {kinds}: {facts.counts(self.class_names, counts)}; {about}")
        else:
            lines.append(f"values: {facts.names(self.class_names)}")
        if not self._has_auto_batch_size and (hint := facts.few_steps(len(self.training), self.batch_size)):
            lines.append(hint)
        return lines

    def class_counts(self) -> list[int] | None:
        """Return how many training samples each class or label has; None for values."""
        if self.targets == "values":
            return None
        return split_checks.class_counts(self.training.labels, self.num_classes).tolist()

    def description(self) -> dict[str, Any]:
        """Return what best.ckpt stores of its data, in plain values, so that a prediction needs no data set."""
        return {
            "dataset": self.dataset,
            "input_shape": list(self.input_shape),
            "num_classes": self.num_classes,
            "targets": self.targets,
            "class_names": list(self.class_names),
            "mean": list(self.mean),
            "std": list(self.std),
            "scale": self.scale,
            "preprocessing": self.preprocessing,
            "kind": self.kind_of(len(self.input_shape) - 1),
            "noun": self.noun,
            "shuffle_axis": self.shuffle_axis,
            "seed": self.seed,
            "fold": None if self.fold is None else f"{self.fold} of {self.num_folds}",
            "checksums": dict(self.checksums),
        }

    def sample_paths(self, split: str) -> list[Path] | None:
        """Return the file of each sample of train, val or test, in their order; None if the samples are no files."""
        assert self._splits is not None, "call setup first"
        splits = {"train": self._splits.training, "val": self._splits.validation, "test": self._splits.test}
        samples, size = splits[split], {"train": self.train_size, "val": self.val_size}.get(split)
        return samples.first(size).paths() if isinstance(samples, LazySamples) else None

    def train_dataloader(self) -> Loader:
        rank, world_size = self._place
        self.check_batch_size(self.batch_size, world_size)
        order = EpochOrder(len(self.training), self.seed, rank, world_size, self._odds())
        return self._loader(self.training, self.batch_size // world_size, order)

    def val_dataloader(self) -> Loader:
        return self._evaluation_loader("validation", self.validation)

    def test_dataloader(self) -> Loader:
        test = self._arranged(self._test()) if callable(self._test) else self._test
        test = self._loaded({"test": test})["test"]
        if callable(self._test):
            self._check_labels("test", test)
            split_checks.check_inputs("test", test, self._example)
        return self._evaluation_loader("test", test)

    def transfer_batch_to_device(
        self, batch: tuple[Tensor, Tensor], device: torch.device, dataloader_idx: int
    ) -> tuple[Tensor, Tensor]:
        inputs, labels = batch
        return inputs.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    def _odds(self) -> Tensor | None:
        """Return the odds with which each training sample is drawn; None if each comes once."""
        if not self.balanced:
            return None
        counts = split_checks.class_counts(self.training.labels, self.num_classes)
        return counts.double().clamp(min=1).reciprocal()[self.training.labels]

    def _check_classes(self) -> None:
        """Raise UserError for a class without training samples, unless the user has chosen the size of the subset."""
        if self.balanced and self.targets != "classes":
            raise UserError(f"balanced=true needs samples of one class each, but the data hold {self.targets}")
        counts = self.class_counts()
        if counts is None or self.train_size is not None:
            return
        if empty := [name for name, count in zip(self.class_names, counts, strict=True) if count == 0]:
            raise UserError(f"every class needs training samples, got none of {', '.join(empty[:5])}")

    def _check_labels(self, split: str, samples: Samples) -> None:
        if self.targets == "classes":
            split_checks.check_labels(split, samples.labels, self.num_classes)

    def _warn_of_splits(self, found: dict[str, Samples]) -> None:
        """Log warnings of what may be a mistake. A part of the validation samples need not have all classes."""
        others = {split: samples for split, samples in found.items() if split != "training"}
        if self.targets != "values":
            whole = {split: s.labels for split, s in others.items() if split == "test" or self.val_size is None}
            split_checks.warn_of_absent_classes(self.training.labels, whole, self.class_names)
        if isinstance(self.training, TensorSamples) and not self.has_known_splits:
            split_checks.warn_of_copies(self.training, others)
            split_checks.warn_of_other_scale(self.training, others)

    def _read_some(self, samples: LazySamples) -> TensorSamples:
        sample = samples.sample()
        num_bytes = 1 if sample is None else sample.nbytes
        num_samples = min(_STATISTICS_SAMPLES, len(samples), max(1, _STATISTICS_BYTES // num_bytes))
        return samples.first(num_samples).load(self.num_workers, "mean and deviation")

    @property
    def _place(self) -> tuple[int, int]:
        """The number of this process in the run, and how many processes the run has."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _evaluation_loader(self, name: str, samples: Samples) -> Loader:
        """Return this process's part of a split: each sample is in one part, and all parts have as many batches.

        Processes wait for each other in every batch (of a network with running statistics for example), so a
        process with one batch more than the others would wait for ever.
        """
        rank, num_processes = self._place
        _check_share(name, samples, num_processes)
        smallest, left_over = divmod(len(samples), num_processes)
        batch_size = self.eval_batch_size
        while left_over and smallest % batch_size == 0:  # the samples left over would need another batch
            batch_size += 1
        return self._loader(samples.every(num_processes, rank), batch_size)

    def _loader(self, data: Samples, batch_size: int, order: EpochOrder | None = None) -> Loader:
        augment = self.augment if order is not None else None
        if self.in_memory and isinstance(data, TensorSamples):
            device = self._home(data)
            data = TensorSamples(data.inputs.to(device), data.labels.to(device))
            return TensorLoader(data, batch_size, self.mean, self.std, self.scale, order, augment, self.num_classes)
        device = self._run_device()
        statistics = (self.mean, self.std, self.scale)
        reading = (self.num_workers, device, self._example)
        return WorkerLoader(data, batch_size, *statistics, order, augment, *reading, self.num_classes)

    def _loaded(self, splits: dict[str, Samples]) -> dict[str, Samples]:
        """Read the splits that belong in memory; the errors of all splits are reported together."""
        loaded, errors = dict(splits), []
        for name, samples in splits.items():
            if self.in_memory and isinstance(samples, LazySamples):
                try:
                    loaded[name] = samples.load(self.num_workers, f"{name} samples of {self.dataset}")
                except UserError as error:
                    errors.append(str(error))
        if errors:
            raise UserError("; ".join(errors))
        return loaded

    def _folded(self, splits: Splits, fold: int) -> Splits:
        validation, training = joined(splits.training, splits.validation).fold(fold, self.num_folds)
        return replace(splits, training=training, validation=validation)

    def _arranged(self, samples: Samples) -> Samples:
        """The samples in the order that shuffle_axis asks for."""
        if self.shuffle_axis == "none":
            return samples
        if isinstance(samples, TensorSamples):
            return replace(samples, inputs=self._permutation(samples.inputs[0])(samples.inputs))
        sample = samples.sample()
        return samples if sample is None else replace(samples, arrange=self._permutation(sample))

    def _permutation(self, sample: Tensor) -> ShuffledAxis:
        return ShuffledAxis(self.shuffle_axis, self.kind_of(sample.dim() - 1), tuple(sample.shape), self.seed)

    def _run_device(self) -> torch.device:
        # Of several GPUs it is this process's own one, which Lightning has made the current one by then.
        return torch.device("cpu" if self.device == "cpu" else self.accelerator)

    def _home(self, data: TensorSamples) -> torch.device:
        """Return the device for data in memory. Copying a batch to an accelerator may take longer than a small step."""
        device = self._run_device()
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if data.inputs.nbytes > _RESIDENT_SHARE * free:
                return torch.device("cpu")
        return device


def _check_share(name: str, samples: Samples, num_processes: int) -> None:
    if len(samples) < num_processes:
        raise UserError(
            f"{num_processes} processes cannot share the {name} split: it must hold at least {num_processes} samples, "
            f"got {len(samples)}"
        )


def _subset(name: str, samples: Samples, size: int | None) -> Samples:
    if size is not None and size > len(samples):
        raise UserError(f"{name} must be at most {len(samples)}, the samples in that split, got {size}")
    return samples.first(size)
