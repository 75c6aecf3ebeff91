"""The drawn confusion matrix: the right numbers in the right cells, and nothing cut off."""

import io
import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from cnnlab.workbench import canvas
from cnnlab.workbench.run_reports import confusion_matrix

SIZES = [(1, 3), (3, 60), (10, 1), (12, 24), (13, 8), (26, 30), (61, 5)]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would become a PNG, which takes much longer than to lay them out."""
    figures: list[Figure] = []

    def png(figure: Figure) -> bytes:
        figures.append(figure)
        figure.draw_without_rendering()
        return b""

    monkeypatch.setattr(confusion_matrix, "png", png)
    return figures


def cells(figure: Figure) -> dict[tuple[float, float], str]:
    """Texts in cells, by row and column."""
    axes = figure.axes[0]
    return {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in axes.texts if t.get_ha() == "center"}


def labels(figure: Figure) -> tuple[list[str], list[str]]:
    """At the rows from above, and at the columns from the left."""
    axes = figure.axes[0]
    bottom, top = axes.get_ylim()
    assert bottom > top
    return [t.get_text() for t in axes.get_yticklabels()], [t.get_text() for t in axes.get_xticklabels()]


def all_texts(figure: Figure) -> str:
    axes = figure.axes[0]
    return "\n".join([axes.get_title(loc="left"), *(t.get_text() for t in axes.texts), axes.get_xlabel()])


def test_rows_are_true_classes_and_columns_predicted_ones(drawn: list[Figure]) -> None:
    counts = np.array([[1970, 30, 0], [2, 5, 1], [0, 0, 4]])
    confusion_matrix.draw(counts, ["cat", "dog", "cost $5_a$"], "my run\nall of it")
    (figure,) = drawn
    assert labels(figure) == (["cat (2,000)", "dog (8)", "cost $5_a$ (4)"], ["cat", "dog", "cost $5_a$"])
    assert cells(figure) == {
        (0, 0): "1,970\n98.5%",
        (0, 1): "30\n1.5%",
        (1, 0): "2\n25.0%",
        (1, 1): "5\n62.5%",
        (1, 2): "1\n12.5%",
        (2, 2): "4\n100.0%",
    }
    assert figure.axes[0].get_xlabel() == "predicted class"
    assert figure.axes[0].get_ylabel() == "true class (images)"
    assert "row = true class, column = predicted class" in all_texts(figure)
    assert "my run\nall of it" in all_texts(figure)
    assert "grey" not in all_texts(figure)


def test_numbers_stand_out_from_their_cells(drawn: list[Figure]) -> None:
    confusion_matrix.draw(np.array([[49, 51], [10, 90]]), ["a", "b"], "")
    image = drawn[0].axes[0].images[0]
    for text in drawn[0].axes[0].texts:
        if text.get_ha() == "center":
            column, row = map(int, text.get_position())
            rgb = image.to_rgba(image.get_array())[row, column, :3]
            brightness = np.dot(rgb**2.2, [0.2126, 0.7152, 0.0722])
            contrast = 1.05 / (brightness + 0.05) if text.get_color() == "white" else (brightness + 0.05) / 0.05
            assert contrast > 4.5  # as the web's guidelines ask for


def test_rare_mistakes_are_coloured(drawn: list[Figure]) -> None:
    confusion_matrix.draw(np.array([[99, 1], [0, 100]]), ["a", "b"], "")
    image = drawn[0].axes[0].images[0]
    red = image.to_rgba(image.get_array())[:, :, 0]
    assert red[1, 0] - red[0, 1] > 0.05
    assert red[0, 1] > red[0, 0] > 0


def test_a_class_without_images(drawn: list[Figure]) -> None:
    confusion_matrix.draw(np.array([[29_999, 1], [0, 0]]), ["a", "b"], "")
    (figure,) = drawn
    assert cells(figure) == {(0, 0): "29,999\n100.0%", (0, 1): "1\n<0.1%"}
    assert labels(figure)[0] == ["a (30,000)", "b (0)"]
    assert "grey row: no images" in all_texts(figure)
    image = figure.axes[0].images[0]
    colours = image.to_rgba(image.get_array())
    assert colours[1].tolist() == [list(matplotlib.colors.to_rgba(canvas.PALE))] * 2


def test_many_classes_show_mistakes_only(drawn: list[Figure]) -> None:
    counts = np.eye(20, dtype=int) * 400
    counts[3, 18] = 17
    confusion_matrix.draw(counts, [f"class {i}" for i in range(20)], "")
    assert cells(drawn[0]) == {(3, 18): "17"}
    rows, columns = labels(drawn[0])
    assert (rows[3], rows[18], columns[18], len(columns)) == ("class 3 (417)", "class 18 (400)", "class 18", 20)


def test_hundreds_of_classes_are_colours(drawn: list[Figure]) -> None:
    confusion_matrix.draw(np.ones((70, 70), int), [str(i) for i in range(70)], "")
    assert cells(drawn[0]) == {}
    assert labels(drawn[0])[1] == [str(i) for i in range(0, 70, 2)]
    assert drawn[0].axes[0].images[0].get_array().shape == (70, 70)


@pytest.mark.parametrize(("num_classes", "length"), SIZES)
def test_nothing_is_cut_off_and_nothing_overlaps(num_classes: int, length: int, drawn: list[Figure]) -> None:
    counts = np.eye(num_classes, dtype=int) * 12_000
    counts[:, 0] += 1_234
    names = [(f"{i}" + "mW" * length)[:length] for i in range(num_classes)]
    confusion_matrix.draw(counts, names, "runs/2026-01-01_12-00-00_image_folder-tinyvgg\ntest: all right")
    (figure,) = drawn
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
    axes = figure.axes[0]
    cell = axes.get_window_extent().width / num_classes
    renderer = FigureCanvasAgg(figure).get_renderer()  # of the figure's resolution, not of the file's
    written = [text.get_window_extent(renderer) for text in axes.texts if text.get_ha() == "center"]
    assert all(max(extent.size) < cell for extent in written)
    if axes.get_xticklabels()[0].get_rotation() != 45:  # those lie in parallel, their boxes do overlap
        extents = [label.get_window_extent(renderer) for label in axes.get_xticklabels()]
        assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(extents))


def test_pyplot_is_left_alone() -> None:
    """mlxtend labels pyplot's current axes, which are the user's."""
    backend = pyplot.get_backend()
    pyplot.switch_backend("agg")
    try:
        pyplot.close("all")
        mine, axes = pyplot.subplots()
        axes.set(xlabel="mine")
        confusion_matrix.draw(np.array([[3, 1], [1, 3]]), ["a", "b"], "")
        assert pyplot.get_fignums() == [mine.number]
        assert pyplot.gcf() is mine
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("mine", "")
        assert matplotlib.rcParams["axes.grid"] is False
    finally:
        pyplot.close("all")
        pyplot.switch_backend(backend)


def test_the_same_bytes_for_the_same_counts() -> None:
    counts = np.array([[3, 1], [0, 0]])
    png = confusion_matrix.draw(counts, ["a", "b"], "t")
    assert png == confusion_matrix.draw(counts, ["a", "b"], "t")
    assert Image.open(io.BytesIO(png)).format == "PNG"
