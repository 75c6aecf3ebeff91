"""Converts stored labels, numbers or words, to class numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnlab.errors import UserError

_NUM_NAMED = 5


def class_names_of(name: str, labels: NDArray[Any]) -> tuple[str, ...]:
    """Return the names of the classes in training labels: 0 to the largest number, or the words in alphabetical order.

    Raises:
        UserError: for labels that are not classes.
    """
    if labels.dtype.kind in "US":
        return tuple(np.unique(words(labels)).tolist())
    used = np.unique(_whole_numbers(name, labels))
    highest, num_used = int(used[-1]), len(used)
    if highest >= num_used:  # checked first: a label such as 20231231 must not make a list of that length
        absent = np.setdiff1d(np.arange(min(highest, num_used + _NUM_NAMED)), used)
        raise UserError(
            f"{name} must use every label from 0 to {highest} (0 to num_classes - 1), "
            f"got none of {', '.join(map(str, absent[:_NUM_NAMED]))}"
        )
    return tuple(map(str, range(num_used)))


def class_numbers(name: str, labels: NDArray[Any], class_names: Sequence[str]) -> Tensor:
    """Return the labels as class numbers, (N,) int64, 0 to num_classes - 1.

    Raises:
        UserError: for labels that are not among the classes.
    """
    if labels.dtype.kind in "US":
        named = words(labels)
        unknown = np.setdiff1d(named, class_names)
        if len(unknown):
            raise UserError(f"{name} holds labels that y_train does not: {', '.join(unknown[:_NUM_NAMED])}")
        order = np.argsort(class_names)
        return torch.from_numpy(order[np.searchsorted(class_names, named, sorter=order)])
    numbers = _whole_numbers(name, labels)
    if numbers.max() >= len(class_names):
        raise UserError(f"{name} must hold labels from 0 to {len(class_names) - 1}, got {numbers.max()}")
    return torch.from_numpy(numbers)


def label_columns(name: str, labels: NDArray[Any]) -> Tensor:
    """Return which labels each sample has, (N, num_labels) float32 of 0 and 1.

    Raises:
        UserError: for an array of another shape or with other numbers.
    """
    if labels.ndim != 2 or labels.shape[1] < 2:
        raise UserError(
            f"{name} must be (N, num_labels), a column of 0 and 1 for each of at least two labels, got {labels.shape}"
        )
    others = labels[(labels != 0) & (labels != 1)]
    if len(others):
        raise UserError(f"{name} must hold 0 and 1 only, where a label is missing or there, got {others[0]}")
    return torch.from_numpy(labels.astype(np.float32))


def words(labels: NDArray[Any]) -> NDArray[np.str_]:
    """Return labels as text. Bytes are read as UTF-8, and invalid ones become escapes: caf\\xe9."""
    return np.char.decode(labels, "utf-8", "backslashreplace") if labels.dtype.kind == "S" else labels


def _whole_numbers(name: str, labels: NDArray[Any]) -> NDArray[np.int64]:
    if labels.dtype.kind == "f" and not (np.isfinite(labels).all() and (labels == np.round(labels)).all()):
        raise UserError(f"{name} must hold class labels, whole numbers from 0; for regression give data.targets=values")
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest > np.iinfo(np.int64).max:
        raise UserError(f"{name} must hold labels from 0 up, got {lowest if lowest < 0 else highest}")
    return labels.astype(np.int64)
