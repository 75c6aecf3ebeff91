"""The drawn comparison: points where their numbers are, an honest front, and nothing cut off or covered."""

import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from PIL import Image

from cnnlab.workbench.canvas import NotDrawn
from cnnlab.workbench.run_reports.comparison import figures
from cnnlab.workbench.run_reports.comparison.figures import (
    Panel,
    Point,
    draw_parameters,
    draw_scores,
    draw_speed,
    pareto_front,
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would become a PNG, which takes much longer than to lay them out."""
    laid_out: list[Figure] = []

    def png(figure: Figure) -> bytes:
        laid_out.append(figure)
        figure.draw_without_rendering()
        return b""

    monkeypatch.setattr(figures, "png", png)
    return laid_out


def point(number: int, score: float, parameters: float = 1e4, speed: float = 1e3, sd: float = math.nan) -> Point:
    return Point(number, f"net {number}", f"net {number}", "CPU", score, sd, parameters, speed, 10.0)


def panel(points: Sequence[Point], title: str = "mnist", **settings: object) -> Panel:
    made = Panel(title, "test accuracy", True, True, points, [1])
    return replace(made, **settings)  # type: ignore[arg-type]


def crowd(number: int, sd: float = 0.001) -> list[Point]:
    """Rows at random places, the best first."""
    random = np.random.default_rng(0)
    scores = sorted(random.uniform(0.985, 0.997, number), reverse=True)
    costs = 10 ** random.uniform([3, 2], [7, 4], (number, 2))
    return [
        Point(i, f"Net{i % 9}, lr 0.{i}, kernel_size 3", f"Net{i % 9}", "CPU", score, sd, parameters, speed, 9.0)
        for i, (score, (parameters, speed)) in enumerate(zip(scores, costs, strict=True), 1)
    ]


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def front_of(axes: Axes) -> list[tuple[float, float]]:
    """Where the rings of the front are."""
    (rings,) = [c for c in axes.collections if isinstance(c, PathCollection)]
    return [(float(x), float(y)) for x, y in rings.get_offsets()]


def corners_of(axes: Axes) -> list[tuple[float, float]]:
    """Of the line of what was attained, the only one with three points."""
    (line,) = [line for line in axes.lines if len(np.asarray(line.get_xydata())) == 3]
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def test_a_front_is_what_nothing_beats() -> None:
    scores, sizes = [0.9, 0.8, 0.7, 0.85, 0.9], [30.0, 20.0, 25.0, 10.0, 40.0]
    assert pareto_front(scores, sizes, True, False) == [0, 3]
    assert pareto_front(scores, sizes, True, True) == [4]
    assert pareto_front(scores, sizes, False, False) == [1, 2, 3]
    assert pareto_front([0.9, 0.9], [1.0, 1.0], True, False) == [0, 1]


def test_a_row_is_a_dot_an_error_bar_and_a_number(drawn: list[Figure]) -> None:
    draw_scores([panel([point(1, 0.99, sd=0.002), point(2, 0.985)], counts=[1, 3])])
    (axes,) = drawn[0].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["net 1", "net 2"]
    assert texts(axes) == ["99.00 ± 0.20", "98.50"]
    assert axes.get_xlabel() == "test accuracy in %"
    assert axes.get_title(loc="left") == "mnist\nmean ± standard deviation of 1 to 3 runs"
    bottom, top = axes.get_ylim()
    assert bottom > top  # the first row is on top
    dots = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() not in ("|", "None")]
    assert dots == [[[0.99, 0.0]], [[0.985, 1.0]]]
    low, high = axes.get_xlim()
    assert low < 0.985 < 0.992 < high < 1


def test_accuracies_far_apart_lie_by_their_errors_better_still_on_the_right(drawn: list[Figure]) -> None:
    points = [point(1, 0.995, sd=0.01), point(2, 0.98), point(3, 0.9)]
    draw_scores([panel(points)])
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "test accuracy in % (log scale of the error)"
    left, right = axes.get_xlim()
    assert left > right > 0
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert {"90", "98", "99.5"} <= set(shown)
    draw_parameters([panel([replace(p, parameters=10.0**p.number) for p in points])])
    bottom, top = drawn[1].axes[0].get_ylim()
    assert bottom > top


def test_no_error_at_all_has_no_logarithm(drawn: list[Figure]) -> None:
    draw_scores([panel([point(1, 1.0), point(2, 0.5)])])
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == "linear"
    assert max(label.get_position()[0] for label in axes.get_xticklabels()) >= 1


def test_errors_to_minimise(drawn: list[Figure]) -> None:
    points = [point(1, 0.001, 100, sd=1e-4), point(2, 0.5, 10), point(3, 0.6, 50)]
    draw_parameters([panel(points, score="test mse", maximize=False, is_accuracy=False)])
    (axes,) = drawn[0].axes
    assert axes.get_ylabel() == "test mse (less is better)"
    assert axes.get_yscale() == "log"
    bottom, top = axes.get_ylim()
    assert bottom < top
    assert front_of(axes) == [(10, 0.5), (100, 0.001)]


def test_the_front_of_speed_and_of_size(drawn: list[Figure]) -> None:
    points = [point(1, 0.99, 5e4, 500), point(2, 0.988, 1e4, 400), point(3, 0.987, 2e4, 2000)]
    draw_speed([panel(points)])
    draw_parameters([panel(points)])
    (speed,), (size,) = drawn[0].axes, drawn[1].axes
    assert front_of(speed) == [(500, 0.99), (2000, 0.987)]
    assert front_of(size) == [(1e4, 0.988), (5e4, 0.99)]
    assert speed.get_xlabel() == "training images/s (more is better)"
    assert size.get_xlabel() == "parameters (fewer is better)"
    legends = [[text.get_text() for text in figure.legends[0].get_texts()] for figure in drawn]
    assert legends == [["net 1", "net 2", "net 3", "Pareto front"]] * 2
    draw_parameters([panel([replace(point, score_sd=0.001) for point in points])])
    assert drawn[2].legends[0].get_texts()[-1].get_text() == "± standard deviation"
    assert sorted(texts(speed)) == ["net 1", "net 2", "net 3"]
    assert corners_of(speed) == [(500, 0.99), (500, 0.987), (2000, 0.987)]  # from 500 images/s on 98.7 % is the best
    assert corners_of(size) == [(1e4, 0.988), (5e4, 0.988), (5e4, 0.99)]
    draw_parameters([replace(panel(points), maximize=False)])
    assert corners_of(drawn[3].axes[0]) == [(1e4, 0.988), (2e4, 0.988), (2e4, 0.987)]


def test_no_front_across_data_sets_and_no_speeds_across_devices(drawn: list[Figure]) -> None:
    points = [point(1, 0.99, 10, 100), point(2, 0.98, 5, 200)]
    gpu = [replace(p, number=p.number + 2, device="GPU", speed=p.speed * 10, score=p.score - 0.1) for p in points]
    other = panel([point(5, 0.5, 500, 20), point(6, 0.6, 600, 10)], title="cifar")
    draw_parameters([panel([*points, *gpu]), other])
    first, second = drawn[0].axes
    assert [x for x, _ in front_of(first)] == [5, 10]
    assert front_of(second) == [(500, 0.5), (600, 0.6)]
    draw_speed([panel([*points, *gpu]), other])
    visible = [axes for axes in drawn[1].axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in visible] == ["mnist\nCPU", "mnist\nGPU", "cifar\nCPU"]
    assert [len(front_of(axes)) for axes in visible] == [2, 2, 2]


def test_many_rows(drawn: list[Figure]) -> None:
    draw_scores([panel(crowd(60))])
    draw_scores([panel(crowd(72))])
    draw_speed([panel(crowd(72))])
    (sixty,), (more,), (speed,) = (figure.axes for figure in drawn)
    assert len(sixty.get_yticklabels()) == 60
    assert len(more.get_yticklabels()) == 40
    assert more.get_title(loc="left") == "mnist: best 40 of 72 by validation"
    assert more.get_yticklabels()[39].get_text() == "Net4, lr 0.40, kernel_size 3  #40"
    labelled = texts(speed)
    assert len(labelled) <= len(front_of(speed)) + 1  # only the front, which holds the best
    assert "#1" in labelled


def test_models_look_alike_in_all_panels_and_unlike_each_other(drawn: list[Figure]) -> None:
    number = 20
    points = [replace(p, model=f"Model{i}", label=f"Model{i}") for i, p in enumerate(crowd(number))]
    draw_parameters([panel(points), panel(points[::-1], title="again")])
    looks = []
    for axes in drawn[0].axes:
        dots = [line for line in axes.lines if line.get_marker() not in ("|", "_", "None")]
        looks.append([(dot.get_color(), dot.get_marker()) for dot in dots])
    assert len(set(looks[0])) == number
    assert looks[0] == looks[1][::-1]


@pytest.mark.parametrize(
    ("number", "length"),
    [pytest.param(2, 40, marks=pytest.mark.slow), pytest.param(9, 3, marks=pytest.mark.slow), (16, 3)],
)
def test_nothing_is_cut_off_and_no_label_covers_anything(number: int, length: int, drawn: list[Figure]) -> None:
    points = [
        replace(p, label=(f"{p.number}" + "mW" * length)[:length], model=f"{p.number}M" * 5, device="Processor " * 4)
        for p in crowd(number)
    ]
    panels = [panel(points, counts=[5]), panel(points, title="an image folder with a long name")]
    for draw in figures.FIGURES.values():
        draw(panels)
    for figure in drawn:
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height
    renderer = FigureCanvasAgg(drawn[0]).get_renderer()
    for axes in (*drawn[1].axes, *drawn[2].axes):
        extents = [text.get_window_extent(renderer) for text in axes.texts if isinstance(text, Annotation)]
        assert number == 16 or len(extents) >= 2
        assert not any(a.overlaps(b) for a, b in itertools.combinations(extents, 2))
        dots = [axes.transData.transform(line.get_xydata()[0]) for line in axes.lines if len(line.get_xydata()) == 1]
        assert not any(extent.contains(*dot) for extent in extents for dot in dots)


def test_nothing_to_draw() -> None:
    with pytest.raises(NotDrawn, match="no row has a value"):
        draw_scores([panel([point(1, math.nan)])])
    for points in ([point(1, 0.9)], [point(1, 0.9), point(2, math.nan)], [point(1, 0.9), point(2, 0.9, math.nan)]):
        with pytest.raises(NotDrawn, match="fewer than two rows"):
            draw_parameters([panel(points)])
    alone = [point(1, 0.9), replace(point(2, 0.8), device="GPU")]
    with pytest.raises(NotDrawn, match="fewer than two rows"):
        draw_speed([panel(alone)])


def test_equal_scores_are_drawn_but_no_costs_that_are_equal(drawn: list[Figure]) -> None:
    points = [point(1, 0.9), point(2, 0.9)]
    figures.draw_scores([panel(points)])
    for draw in (draw_speed, draw_parameters):
        with pytest.raises(NotDrawn, match="differ in their"):
            draw([panel(points)])
    low, high = drawn[0].axes[0].get_xlim()
    assert low < 0.9 < high


def test_the_same_bytes_for_the_same_numbers() -> None:
    for draw in figures.FIGURES.values():
        png = draw([panel(crowd(3))])
        assert png == draw([panel(crowd(3))])
        assert Image.open(io.BytesIO(png)).format == "PNG"
