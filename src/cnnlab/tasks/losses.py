"""Losses by their names in torch.nn, and the weights of classes in them."""

import copy
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from cnnlab.errors import did_you_mean

# Losses that do not take the outputs of a network as they are, and those that do.
_OF_LOGITS = {"NLLLoss": "CrossEntropyLoss", "BCELoss": "BCEWithLogitsLoss"}

Weights = Sequence[float] | Literal["balanced"] | None


def named(loss: str | nn.Module) -> nn.Module:
    """Return the loss of torch.nn that a word names, MultiMarginLoss or torch.nn.MultiMarginLoss.

    Raises:
        ValueError: for another word, with the most similar name.
    """
    if isinstance(loss, nn.Module):
        return loss
    word = str(loss).removeprefix("torch.nn.")
    choices = [name for name in dir(nn) if name.endswith("Loss")]
    if word not in choices:
        raise ValueError(f"loss must be a loss of torch.nn, such as MultiMarginLoss, got {loss!r}{_nearest(word)}")
    found: nn.Module = getattr(nn, word)()
    return found


def checked(loss: nn.Module, outputs: Tensor, targets: Tensor) -> nn.Module:
    """Return the loss if it takes outputs and targets like these, and gives one number.

    Raises:
        ValueError: if it does not.
    """
    name = type(loss).__name__
    if name in _OF_LOGITS:
        raise ValueError(f"loss: {name} does not take the logits of a network; {_OF_LOGITS[name]} does")
    shapes = f"outputs (N, {outputs.shape[1]}) and targets ({', '.join(['N', *map(str, targets.shape[1:])])})"
    try:
        value = loss(outputs, targets)
    except Exception as error:  # whatever a loss raises for arguments of another kind
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"loss: {name} does not take {shapes}: {reason}") from error
    if not isinstance(value, Tensor) or value.shape != ():
        raise ValueError(f"loss: {name} must give one number for a batch, the mean; reduction=mean does")
    return loss


def class_weights(weights: Weights, counts: Sequence[int] | None, num_classes: int) -> Tensor | None:
    """Return the weight of each class, (num_classes,); balanced is n / (k * n_c), as in scikit-learn.

    Raises:
        ValueError: for weights that are not one positive number for each class.
    """
    if weights != "balanced":
        return _given(weights, num_classes, "classes")
    there = _counts(counts)
    # A subset may lack a class; its weight is then of no account.
    return torch.where(there > 0, there.sum() / ((there > 0).sum() * there.clamp(min=1)), 0.0)


def label_weights(
    weights: Weights, counts: Sequence[int] | None, num_samples: int | None, num_labels: int
) -> Tensor | None:
    """Return by what each label's loss is multiplied where it is there; balanced is (n - n_c) / n_c.

    Raises:
        ValueError: for weights that are not one positive number for each label.
    """
    if weights != "balanced":
        return _given(weights, num_labels, "labels")
    there = _counts(counts)
    return ((num_samples or 0) - there) / there.clamp(min=1)


def weighted(loss: nn.Module, weights: Tensor | None, name: str) -> nn.Module:
    """Return a copy of the loss with these weights; without weights the loss itself.

    Args:
        name: of the loss's attribute for them.

    Raises:
        ValueError: if the loss has no such attribute.
    """
    if weights is None:
        return loss
    if not hasattr(loss, name) or next(loss.parameters(), None) is not None:
        raise ValueError(f"class_weights are not taken by {type(loss).__name__}, which has no {name}; leave them out")
    copied = copy.deepcopy(loss)
    setattr(copied, name, weights)
    return copied


def _given(weights: Sequence[float] | str | None, number: int, what: str) -> Tensor | None:
    if weights is None:
        return None
    if isinstance(weights, str):
        raise ValueError(
            f"class_weights must be balanced or a list of numbers, got {weights!r}{did_you_mean(weights, ['balanced'])}"
        )
    values = list(weights)
    if len(values) != number or not all(math.isfinite(value) and value >= 0 for value in values) or not any(values):
        raise ValueError(f"class_weights must be {number} numbers from 0 up, one for each of the {what}, got {values}")
    return torch.tensor(values, dtype=torch.float32)


def _counts(counts: Sequence[int] | None) -> Tensor:
    if counts is None:
        raise ValueError("class_weights=balanced needs the number of training samples of each class, class_counts")
    return torch.tensor(list(counts), dtype=torch.float32)


def _nearest(word: str) -> str:
    return did_you_mean(word, [name for name in dir(nn) if name.endswith("Loss") and name not in _OF_LOGITS])
