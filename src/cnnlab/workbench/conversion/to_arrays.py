"""Converts files of any supported kind to the one file that data=npz reads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cnnlab.data.stratified import stratified_order
from cnnlab.errors import UserError
from cnnlab.workbench.conversion.samples import Found, checked, shaped, with_classes
from cnnlab.workbench.conversion.sources import Choices, read
from cnnlab.workbench.conversion.written_files import pictures_of, write_arrays, write_unlabelled

_ORDER = ("train", "val", "test")


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        splits: train, test, and val if there was one; none if nothing had labels.
        unlabelled: the samples without labels.
        is_classes: whether the labels are classes; otherwise several zeros and ones for each sample, or values.
        unlabelled_file: where the samples without labels were written.
        notes: what a user should know of the way.
    """

    splits: dict[str, Found]
    unlabelled: Found | None
    is_classes: bool
    unlabelled_file: Path
    notes: list[str]


def convert(sources: Sequence[Path], out: Path, choices: Choices) -> Converted:
    """Read the sources, and write `out`; samples without labels go into a file beside it.

    Raises:
        UserError: for what cannot be read, and for a file that is there already.
    """
    notes: list[str] = []
    splits, unlabelled = _sorted_by_labels(read(sources, choices), choices.shape)
    shapes = {found.x.shape[1:] for found in [*splits.values(), *unlabelled]}
    if len(shapes) > 1:
        raise UserError(f"all samples must have one shape, got {' and '.join('x'.join(map(str, s)) for s in shapes)}")
    splits, is_classes = with_classes(splits) if splits else ({}, True)
    if splits and "train" not in splits:
        raise UserError(f"there are only samples of {' and '.join(splits)}, and none to train on")
    if splits and "test" not in splits:
        splits = _with_test(splits, choices.test_fraction, is_classes)
        notes.append(
            f"test   a stratified part of {choices.test_fraction:.0%}, for the files hold no test samples with labels"
        )
    others = _joined(unlabelled) if unlabelled else None
    pictures = others is not None and pictures_of(others.x) is not None
    beside = out.with_name(f"{out.stem}_unlabelled{'.zip' if pictures else '.npz'}")
    for path in (out, beside):
        if path.exists():
            raise UserError(f"{path} is there already; name another file, or remove it")
    if splits:
        names = splits["train"].names
        arrays: dict[str, Any] = {f"{xy}_{split}": getattr(splits[split], xy) for split in splits for xy in "xy"}
        arrays |= {"class_names": np.array(names)} if names else {}
        write_arrays(out, arrays)
    if others is not None:
        write_unlabelled(beside, others.x)
    return Converted({s: splits[s] for s in _ORDER if s in splits}, others, is_classes, beside, notes)


def _sorted_by_labels(
    found: list[tuple[str, Found]], shape: tuple[int, ...] | None
) -> tuple[dict[str, Found], list[Found]]:
    """The labelled samples by split, and those without labels."""
    parts: dict[str, list[Found]] = {}
    unlabelled = []
    for split, one in found:
        formed = shaped(checked(one, split), shape)
        if formed.y is None:
            unlabelled.append(formed)
        else:
            parts.setdefault(split, []).append(formed)
    return {split: _joined(several) for split, several in parts.items()}, unlabelled


def _joined(several: Sequence[Found]) -> Found:
    if len(several) == 1:
        return several[0]
    labels = [found.y for found in several if found.y is not None]
    y = np.concatenate(labels) if labels else None
    return Found(np.concatenate([found.x for found in several]), y, several[0].names)


def _with_test(splits: dict[str, Found], fraction: float, is_classes: bool) -> dict[str, Found]:
    whole = splits["train"]
    assert whole.y is not None
    if len(whole) < 2:
        raise UserError("a single sample with a label cannot be split into training and test samples")
    labels = torch.from_numpy(whole.y if is_classes else whole.y.astype(np.float32))
    order = stratified_order(labels).numpy()
    size = max(1, round(fraction * len(whole)))
    parts = {"test": order[:size], "train": order[size:]}
    return splits | {split: replace(whole, x=whole.x[at], y=whole.y[at]) for split, at in parts.items()}
