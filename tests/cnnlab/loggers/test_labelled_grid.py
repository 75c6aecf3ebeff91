import numpy as np
import pytest
import torch

from cnnlab.loggers.labelled_grid import labelled_grid

GAP, SIDE = 6, 84


def test_every_picture_stands_above_its_own_name() -> None:
    digits = torch.rand(3, 1, 28, 28)
    grid = labelled_grid(digits, ["seven", "one", "seven"], per_row=2)
    corners = [(GAP, GAP), (GAP, 2 * GAP + SIDE), ((grid.shape[0] - GAP) // 2 + GAP, GAP)]
    strips = []
    for digit, (top, left) in zip(digits[:, 0].numpy(), corners, strict=True):
        shown = grid[top : top + SIDE : 3, left : left + SIDE : 3, 0] / 255
        assert np.corrcoef(shown.ravel(), digit.ravel())[0, 1] > 0.999
        strips.append(grid[top + SIDE : top + SIDE + 18, left : left + SIDE])
        assert strips[-1].min() < 100, "ink"
    assert (strips[0] == strips[2]).all()
    assert (strips[0] != strips[1]).any()


@pytest.mark.parametrize(
    ("channels", "side", "shown"), [(1, 28, 84), (3, 64, 128), (3, 100, 100), (3, 224, 128)], ids=str
)
def test_sides_of_all_sizes_are_easy_to_see(channels: int, side: int, shown: int) -> None:
    grid = labelled_grid(torch.rand(2, channels, side, side), ["a", "b"], per_row=2)
    assert grid.shape[1] == 2 * (shown + GAP) + GAP


def test_a_long_name_leaves_the_next_one_room() -> None:
    grid = labelled_grid(torch.rand(2, 1, 28, 28), ["a very long name of a class\nin two lines", ""], per_row=2)
    below = grid[GAP + SIDE :]
    assert below[:, : GAP + SIDE].min() < 100
    assert below[:, GAP + SIDE + 1 :].min() == 255
