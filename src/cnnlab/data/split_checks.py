"""Checks for mistakes between the splits of a data set that would make its scores wrong."""

import logging
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from cnnlab.data.augment import Augmentation
from cnnlab.data.inputs import num_not_finite
from cnnlab.data.lazy_samples import difference
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Samples
from cnnlab.errors import UserError

log = logging.getLogger(__name__)

_NUM_NAMED = 5
_LARGE_VALUE = 100
_OTHER_SCALE = 50  # times larger: one was divided by 255 or standardised, the other was not


def check_names(names: Sequence[str]) -> None:
    """Raise UserError for a name that occurs twice, because results are listed by name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"class names must differ, got {', '.join(twice[:_NUM_NAMED])} more than once")


def check_labels(split: str, labels: Tensor, num_classes: int) -> None:
    """Raise UserError for a label that is not a class."""
    lowest, highest = (int(value) for value in labels.aminmax())
    if lowest < 0 or highest >= num_classes:
        wrong = lowest if lowest < 0 else highest
        raise UserError(f"the labels of the {split} samples must be from 0 to {num_classes - 1}, got {wrong}")


def class_counts(labels: Tensor, num_classes: int) -> Tensor:
    """Return how many samples each class has, or each label of several at once, (num_classes,) int64.

    Args:
        labels: (N,) class numbers, or (N, num_classes) of 0 and 1.
    """
    return labels.sum(dim=0).long() if labels.dim() == 2 else torch.bincount(labels, minlength=num_classes)


def check_inputs(split: str, samples: Samples, like: Tensor) -> None:
    """Raise UserError for samples of another shape or type than a training sample, or with NaN or infinity.

    Args:
        like: a training sample (C, *spatial), whose type decides the scale of all splits.
    """
    sample = samples.inputs[0] if isinstance(samples, TensorSamples) else samples.sample()
    if sample is not None and (problem := difference(sample, like)):
        raise UserError(f"the first of the {split} samples is not like those of training: {problem}")
    if isinstance(samples, TensorSamples) and (num_bad := num_not_finite(samples.inputs)):
        raise UserError(f"{num_bad} of the {split} samples hold NaN or infinity")


def check_augmentation(augment: Augmentation | None, kind: str, sample: Tensor) -> None:
    """Raise UserError for an augmentation that is not made for this kind of data, see DataModule.kind.

    Args:
        sample: of training, (C, *spatial); the augmentation's own method `check`, if it has one, judges it.
    """
    if kind not in (kinds := getattr(augment, "kinds", (kind,))):
        name = type(augment).__name__
        raise UserError(f"augment: {name} is for data of the kind {', '.join(kinds)}, got {kind}; augment=none fits")
    if augment is not None and hasattr(augment, "check"):
        augment.check(sample)


def warn_of_mirrored_digits(augment: Augmentation | None, preprocessing: str) -> None:
    """Log a warning for mirror images of digits and letters."""
    if preprocessing == "digits" and getattr(augment, "mirrors", False):
        log.warning(
            "WARNING: digits and letters in a mirror are other signs, and teach the network nothing; "
            "augment.flip=0 and augment.vertical_flip=0 leave them as they are"
        )


def warn_of_absent_classes(training: Tensor, others: Mapping[str, Tensor], class_names: Sequence[str]) -> None:
    """Log a warning for the classes of which a split has no samples.

    Args:
        training: labels, see class_counts.
        others: labels by split.
    """
    counts = class_counts(training, len(class_names)).tolist()
    parts = []
    for split, labels in others.items():
        there = class_counts(labels, len(class_names)).tolist()
        absent = [f"{class_names[i]} ({counts[i]:,} in training)" for i, count in enumerate(there) if count == 0]
        more = f" and {len(absent) - _NUM_NAMED} more" if len(absent) > _NUM_NAMED else ""
        if absent:
            parts.append(f"{split} has no samples of {', '.join(absent[:_NUM_NAMED])}{more}")
    if parts:
        log.warning("WARNING: %s; its scores say nothing of these classes", "; ".join(parts))


def warn_of_large_values(values: Tensor) -> None:
    """Log a warning for targets (N, number of values) far from the numbers that a new network gives, from -1 to 1."""
    mean, std = values.double().mean(dim=0), values.double().std(dim=0, correction=0)
    worst = int(torch.maximum(mean.abs(), std).argmax())
    if max(abs(mean[worst]), std[worst]) > _LARGE_VALUE:
        log.warning(
            "WARNING: the values are large (mean %.4g, standard deviation %.4g), and a network that begins near 0 "
            "hardly learns them; save (value - %.4g) / %.4g instead",
            *(mean[worst], std[worst], mean[worst], std[worst] or 1.0),
        )


def warn_of_copies(training: TensorSamples, others: Mapping[str, Samples]) -> None:
    """Log a warning for samples that are both trained on and scored on. Only data in memory are compared."""
    held = {split: samples.inputs for split, samples in others.items() if isinstance(samples, TensorSamples)}
    found = {split: num_copies(inputs, training.inputs) for split, inputs in held.items()}
    parts = [f"{number:,} of {len(held[split]):,} {split} samples" for split, number in found.items() if number]
    if parts:
        log.warning("WARNING: %s are also training samples; scores on them are too good", " and ".join(parts))


def warn_of_other_scale(training: TensorSamples, others: Mapping[str, Samples]) -> None:
    """Log a warning for a split whose numbers are many times larger or smaller than those of training.

    Numbers of words, which are int32, have no scale.
    """
    if training.inputs.dtype == torch.int32:
        return
    largest = _largest(training.inputs)
    for split, samples in others.items():
        if not isinstance(samples, TensorSamples):
            continue
        there = _largest(samples.inputs)
        if min(largest, there) > 0 and max(largest, there) > _OTHER_SCALE * min(largest, there):
            log.warning(
                "WARNING: the largest number in training is %g, in %s %g; was one of them scaled and the other not?",
                largest,
                split,
                there,
            )


def num_copies(inputs: Tensor, training: Tensor) -> int:
    """Return the number of samples (N, …) that are also training samples, by hashes of 64 bits of all their values."""
    known = set(hashes(training))
    return sum(one in known for one in hashes(inputs))


def hashes(inputs: Tensor) -> Iterator[int]:
    """Return a number for each sample (N, …), the same for samples of which all values are equal."""
    return (hash(sample.tobytes()) for sample in inputs.cpu().flatten(1).contiguous().view(torch.uint8).numpy())


def _largest(inputs: Tensor) -> float:
    lowest, highest = inputs.aminmax()
    return max(-lowest.item(), highest.item())
