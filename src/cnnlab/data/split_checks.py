"""Checks for mistakes between the splits of a data set that would make its scores wrong."""

import hashlib
import logging
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnlab.data.inputs import num_not_finite
from cnnlab.data.lazy_samples import difference
from cnnlab.data.samples import TensorSamples
from cnnlab.data.splits import Samples
from cnnlab.errors import UserError

log = logging.getLogger(__name__)

_NUM_NAMED = 5
_NUM_GLANCED_AT = 64  # comparing this many values of each sample rules out most copies
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


def warn_of_absent_classes(training: Tensor, others: Mapping[str, Tensor], class_names: Sequence[str]) -> None:
    """Log a warning for the classes of which a split has no samples.

    Args:
        training: labels, (N,).
        others: labels by split.
    """
    counts = torch.bincount(training, minlength=len(class_names)).tolist()
    parts = []
    for split, labels in others.items():
        there = torch.bincount(labels, minlength=len(class_names)).tolist()
        absent = [f"{class_names[i]} ({counts[i]:,} in training)" for i, count in enumerate(there) if count == 0]
        more = f" and {len(absent) - _NUM_NAMED} more" if len(absent) > _NUM_NAMED else ""
        if absent:
            parts.append(f"{split} has no samples of {', '.join(absent[:_NUM_NAMED])}{more}")
    if parts:
        log.warning("WARNING: %s; its scores say nothing of these classes", "; ".join(parts))


def warn_of_copies(training: TensorSamples, others: Mapping[str, Samples]) -> None:
    """Log a warning for samples that are both trained on and scored on. Only data in memory are compared."""
    held = {split: samples.inputs for split, samples in others.items() if isinstance(samples, TensorSamples)}
    found = {split: num_copies(inputs, training.inputs) for split, inputs in held.items()}
    parts = [f"{number:,} of {len(held[split]):,} {split} samples" for split, number in found.items() if number]
    if parts:
        log.warning("WARNING: %s are also training samples; scores on them are too good", " and ".join(parts))


def warn_of_other_scale(training: TensorSamples, others: Mapping[str, Samples]) -> None:
    """Log a warning for a split whose numbers are many times larger or smaller than those of training."""
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
    """The number of samples (N, …) that are also training samples, with all values equal."""
    rows, others = (samples.cpu().flatten(1) for samples in (inputs, training))
    step = -(-rows.shape[1] // _NUM_GLANCED_AT)
    glances, glances_at_others = ([row.tobytes() for row in _bytes(found[:, ::step])] for found in (rows, others))
    alike = set(glances) & set(glances_at_others)
    known = {_digest(row) for row, glance in zip(others, glances_at_others, strict=True) if glance in alike}
    return sum(_digest(row) in known for row, glance in zip(rows, glances, strict=True) if glance in alike)


def _bytes(values: Tensor) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = values.contiguous().view(torch.uint8).numpy()
    return found


def _digest(row: Tensor) -> bytes:
    return hashlib.blake2b(_bytes(row).tobytes(), digest_size=16).digest()


def _largest(inputs: Tensor) -> float:
    lowest, highest = inputs.aminmax()
    return max(-lowest.item(), highest.item())
