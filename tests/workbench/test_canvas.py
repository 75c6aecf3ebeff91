"""What all figures have in common."""

import pytest

from cnnlab.workbench.canvas import staircase


@pytest.mark.parametrize(
    ("maximize_x", "front", "corner"),
    [
        # more is better in y; the second point costs more, so below its cost only the first one's y is had
        (False, [(100.0, 0.80), (400.0, 0.95)], (400.0, 0.80)),
        # less is better in y
        (False, [(100.0, 0.9), (400.0, 0.2)], (400.0, 0.9)),
        # more is better in x: for an x above the first one's only the second one is left, whatever is better in y
        (True, [(100.0, 0.95), (400.0, 0.80)], (100.0, 0.80)),
        (True, [(100.0, 0.2), (400.0, 0.9)], (100.0, 0.9)),
    ],
    ids=["min-max", "min-min", "max-max", "max-min"],
)
def test_a_staircase_promises_nothing_that_no_point_reached(
    maximize_x: bool, front: list[tuple[float, float]], corner: tuple[float, float]
) -> None:
    xs, ys = zip(*reversed(front), strict=True)
    assert staircase(xs, ys, maximize_x) == [front[0], corner, front[1]]
