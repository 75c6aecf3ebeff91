"""The description of a network that its exported file holds beside the weights."""

import json
from collections.abc import Sequence
from typing import Any

from cnnlab.data.shuffled_axis import ShuffledAxis
from cnnlab.saved_run import SavedModel

_OF_THE_DATA = ("dataset", "targets", "class_names", "input_shape", "scale", "mean", "std", "preprocessing")
_OF_SOME_DATA = ("vocabulary", "audio", "resize")  # how texts, recordings and pictures became inputs
_PIXEL = 1 / 255
_OUTPUTS = {
    "classes": "logits; softmax makes them the probabilities of the classes",
    "multilabel": "logits; sigmoid makes each the probability of its label, above 0.5 where the logit is above 0",
    "values": "the values themselves",
}


def describe(saved: SavedModel, normalises: bool) -> dict[str, str]:
    """How to feed the network and how to read its answer; whatever is no text is JSON.

    Args:
        normalises: whether the file's network takes inputs as stored, or normalised ones.
    """
    facts: dict[str, Any] = {name: saved.data[name] for name in _OF_THE_DATA}
    facts |= {name: saved.data[name] for name in _OF_SOME_DATA if name in saved.data}
    if (arrange := ShuffledAxis.of(saved.data)) is not None:
        facts |= {"shuffle_axis": saved.data["shuffle_axis"], "order": arrange.order.tolist()}
    facts["output"] = meaning_of_outputs(saved)
    facts |= {"run": saved.folder.name, "model": type(saved.model).__name__, "input": needed_input(saved, normalises)}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}


def needed_input(saved: SavedModel, normalises: bool) -> str:
    """The input that the network expects, in words."""
    axis = saved.data.get("shuffle_axis", "none")
    ordered = (
        "" if axis == "none" or normalises else f"; before that, {axis} are put in the order that is told as order"
    )
    if "vocabulary" in saved.data:
        words = "places of the words in vocabulary, 0 behind the text's end"
        return f"float32 {batch_of(saved.data['input_shape'])}: {words}{ordered}"
    values = "pixels from 0 to 255" if saved.data["scale"] == _PIXEL else "values as in the data set"
    what = f"{values}; the network normalises them" if normalises else f"(scale * x - mean) / std, x being {values}"
    return f"float32 {batch_of(saved.data['input_shape'])}: {what}{ordered}"


def meaning_of_outputs(saved: SavedModel) -> str:
    """What the outputs are, in words."""
    return _OUTPUTS[saved.targets]


def batch_of(shape: Sequence[int]) -> str:
    """(N, 1, 28, 28) for samples of 1x28x28."""
    return f"(N, {', '.join(map(str, shape))})"
