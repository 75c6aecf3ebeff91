"""Samples as a person looks at them."""

import numpy as np
import pytest

from cnnlab.workbench.canvas import figure, project_style
from cnnlab.workbench.inspection.sample import PLAIN, show, three_views, thumbnail


def test_three_views_share_their_edges() -> None:
    volume = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    front, side, above = three_views(volume)
    assert (front.shape, side.shape, above.shape) == ((5, 6), (5, 4), (4, 6))
    assert np.array_equal(front[:, 3], side[:, 2])  # a column of the front is one of the side, at the same heights
    assert np.array_equal(front[2], above[2])
    assert side[1, 3] == volume[3, 1, 3]


def test_a_volume_is_drawn_by_its_three_views_on_one_scale() -> None:
    volume = np.zeros((1, 4, 5, 6), np.float32)
    volume[0, 3, 2, 1] = 1.0  # seen from above only
    with project_style():
        axes = figure(1, 1).subplots()
        show(axes, volume, PLAIN)
        (picture,) = axes.get_images()
    page = picture.get_array()
    assert page is not None
    assert page.shape == (5 + 1 + 4, 6 + 1 + 4)
    assert [tuple(place) for place in np.argwhere(np.nan_to_num(page.filled(0)) > 0.5)] == [(5 + 1 + 3, 1)]
    assert "4x5x6" in axes.texts[0].get_text()


def test_a_signal_has_an_axis_with_its_ends() -> None:
    with project_style():
        axes = figure(1, 1).subplots()
        show(axes, np.linspace(-2, 3, 40, dtype=np.float32)[None], PLAIN)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "39"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["-2", "3"]


@pytest.mark.parametrize("shape", [(1, 40), (3, 40), (1, 8, 8, 8), (3, 12, 12), (1, 1)])
def test_thumbnails(shape: tuple[int, ...]) -> None:
    sample = np.random.default_rng(0).random(shape, dtype=np.float32)
    assert thumbnail(sample, PLAIN, 112).shape == (3, 112, 112)
    assert thumbnail(np.zeros(shape, np.float32), PLAIN, 112).shape == (3, 112, 112)
