"""Accuracy against severity."""

import io

import numpy as np
from PIL import Image

from cnnlab.workbench.evaluation.robustness_figure import draw
from cnnlab.workbench.inspection.sample import PLAIN


def test_lines_and_examples_of_all_corruptions() -> None:
    names = [f"corruption {number}" for number in range(7)]
    sample = np.random.default_rng(0).random((3, 20, 30), dtype=np.float32)
    accuracies = {name: [0.99, 0.9, 0.8, 0.6, 0.4, 0.1 * number] for number, name in enumerate(names)}
    png = draw(accuracies, {name: [sample] * 6 for name in names}, dict.fromkeys(names, "1 to 5"), "title", PLAIN)
    with Image.open(io.BytesIO(png)) as picture:
        colours = np.array(picture.convert("RGB")).astype(int)
    for colour in ((0, 114, 178), (213, 94, 0), (0, 158, 115), (230, 159, 0)):
        assert (np.abs(colours - colour).max(axis=2) < 8).any()
    assert colours[:, 960:].std() > 20
