"""Compares the data of two trainings by their descriptions, which checkpoints hold; see DataModule.description."""

from collections.abc import Mapping, Sequence
from typing import Any

_WORDS = {"input_shape": "samples of shape", "class_names": "the classes", "order": "samples in the order"}
_TOO_LONG = {"vocabulary": "other words", "audio": "other features of recordings"}
_PARTS = {"mnist-5k": "mnist"}  # data sets whose samples are training samples of another one


def difference(
    theirs: Mapping[str, Any], ours: Mapping[str, Any], names: Sequence[str] = (*_WORDS, *_TOO_LONG)
) -> str | None:
    """Return the first of `names` by which a network that was trained on theirs does not understand ours, or None.

    Args:
        names: some of input_shape, class_names, order, vocabulary, audio.
    """
    for name in names:
        before, now = _value(theirs, name), _value(ours, name)
        if before != now and not (name == "audio" and None in (before, now)):
            return name
    return None


def in_words(name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """Say what a network that was trained on theirs knows instead of ours."""
    values = f"{_value(theirs, name)}, but this training has {_value(ours, name)}"
    return _TOO_LONG.get(name) or f"{_WORDS[name]} {values}"


def learnt_from_evaluated(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str | None:
    """Say which samples they were trained on and we are scored on; None if there are none, as far as that is known."""
    before, now = (str(data["dataset"]).partition("-shuffled-")[0] for data in (theirs, ours))
    if _PARTS.get(now) == before:
        return f"all of {now}, which is a part of {before}'s training samples"
    is_same = before == now and theirs.get("checksums") == ours.get("checksums")
    if is_same and theirs.get("fold") != ours.get("fold"):
        return f"samples of the validation split (fold {ours.get('fold') or 'null'})"
    return None


def _value(data: Mapping[str, Any], name: str) -> Any:
    if name == "order":
        axis = data.get("shuffle_axis", "none")
        return f"data.shuffle_axis={axis}" + ("" if axis == "none" else f" of seed {data['seed']}")
    value = data.get(name)
    return list(value) if isinstance(value, list | tuple) else value
