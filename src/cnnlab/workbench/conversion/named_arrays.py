"""Pairs arrays of samples with the arrays of their labels, by their names and lengths."""

from collections.abc import Mapping

import numpy as np

from cnnlab.errors import UserError
from cnnlab.workbench.conversion.samples import Array, Found, split_called, words_in

_LABELS = {"y", "label", "labels", "target", "targets", "class", "classes"}
_SAMPLES = {"x", "image", "images", "data", "inputs", "features", "signals", "samples"}


def paired(arrays: Mapping[str, Array], source: str) -> dict[str, Found]:
    """The samples of each split, "all" where the names tell none.

    Raises:
        UserError: naming the arrays, if it is not clear which ones are the samples.
    """
    splits: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        role = _role(name, array)
        if role is not None:
            kept = splits.setdefault(split_called(name) or "all", {})
            if role in kept:
                raise UserError(
                    f"{source} holds several arrays of {role}: {_listed(arrays)}; keep one pair for a split"
                )
            kept[role] = array
    if not any("samples" in roles for roles in splits.values()):
        raise UserError(
            f"{source} holds {_listed(arrays)}; expected names such as x and y, images and labels, or x_train, y_train"
        )
    return {split: _found(roles, f"{split} of {source}") for split, roles in splits.items() if "samples" in roles}


def _role(name: str, array: Array) -> str | None:
    if not array.ndim:  # a single number describes the samples
        return None
    words = set(words_in(name))
    if words & _LABELS:
        return "labels"
    if words & _SAMPLES or (array.ndim > 1 and array.dtype.kind in "buif"):
        return "samples"
    return None


def _found(roles: Mapping[str, Array], source: str) -> Found:
    x, y = roles["samples"], roles.get("labels")
    if y is None:
        return Found(x, None)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y[0] if y.ndim == 2 and y.shape[0] == 1 else y
    if len(x) != len(y) and x.shape[-1] == len(y):  # MATLAB puts the number of the sample last
        x = np.ascontiguousarray(np.moveaxis(x, -1, 0))
    if len(x) != len(y):
        raise UserError(f"{source}: expected as many labels as samples, got {len(y):,} and {len(x):,}")
    return Found(x, y)


def _listed(arrays: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, array.shape))}" for name, array in arrays.items()) or "no arrays"
