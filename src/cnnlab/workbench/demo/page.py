"""The page: a canvas, the answer, the probabilities and the picture that the network was shown."""

from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource, FreehandDrawTool, Image, LinearColorMapper
from bokeh.models.widgets import Button, Div
from bokeh.plotting import figure
from numpy.typing import NDArray

from cnnlab.errors import UserError
from cnnlab.workbench.canvas import BLUE
from cnnlab.workbench.demo.strokes import WIDTH, rasterise
from cnnlab.workbench.prediction.predictor import Predictor

CANVAS_SIDE, SEEN_SIDE = 400, 168
_BAR_HEIGHT = 26
_FADED = 0.35
_ANSWER = (
    '<div style="font-size: 96px; line-height: 1; font-weight: bold">{}</div><div style="font-size: 18px">{}</div>'
)
_REMARK = '<div style="font-size: 24px; color: #555555">{}</div>'
_FONT: dict[str, str | None] = {"font-family": "system-ui, sans-serif"}

Pixels = NDArray[np.uint8]


def page_of(predictor: Predictor, title: str) -> Callable[[Document], None]:
    """A function that fills a new page, one for every browser window that is opened."""

    def fill(document: Document) -> None:
        document.title = "Draw a digit"
        document.add_root(Page(predictor, title).layout)

    return fill


class Page:
    """One window's widgets, and what happens when something is drawn.

    Args:
        predictor: takes digits of any size.
        title: which network this is.

    Attributes:
        layout: all widgets.
    """

    def __init__(self, predictor: Predictor, title: str) -> None:
        self.predictor = predictor
        has_digits = all(name.isdigit() for name in predictor.class_names)
        self.invitation = "draw a digit" if has_digits else "draw one character"
        self.strokes = ColumnDataSource({"xs": [], "ys": []}, name="strokes")
        self.bars = ColumnDataSource(name="probabilities")
        self.seen = ColumnDataSource(name="seen")
        self.answer = Div(name="answer", width=220, height=150, styles=_FONT)
        self.strokes.on_change("data", lambda name, before, now: self.update())
        clear = Button(label="Clear", name="clear", width=CANVAS_SIDE, height=44)
        clear.on_click(self.clear)
        self.layout = column(
            Div(text=f"<h2 style='margin: 0'>{escape(title)}</h2>", styles=_FONT),
            row(
                column(self._canvas(), clear),
                column(self.answer, _caption("what the network saw"), self._picture()),
                column(_caption("probability of each class"), self._bar_chart()),
                spacing=30,
                styles={"flex-wrap": "wrap"},
            ),
            spacing=15,
            margin=20,
        )
        self.update()

    def clear(self) -> None:
        """Start again with an empty canvas."""
        self.strokes.data = {"xs": [], "ys": []}

    def update(self) -> None:
        """Show what the network says to what is on the canvas."""
        drawn: Any = self.strokes.data
        strokes = [list(zip(xs, ys, strict=True)) for xs, ys in zip(drawn["xs"], drawn["ys"], strict=True)]
        if not strokes:
            self._show_nothing(self.invitation)
            return
        try:
            answer = self.predictor.answer(rasterise(strokes))
        except UserError as error:
            self._show_nothing(str(error))
            return
        self.answer.text = _ANSWER.format(escape(answer.label), f"{answer.probabilities.max():.1%}")
        self._show(answer.probabilities, answer.seen)

    def _show_nothing(self, remark: str) -> None:
        self.answer.text = _REMARK.format(escape(remark))
        self._show(np.zeros(len(self.predictor.class_names)), np.zeros((1, 1, 1), np.uint8))

    def _show(self, probabilities: NDArray[np.float64], seen: Pixels) -> None:
        is_best = probabilities == probabilities.max()
        self.bars.data = {
            "label": list(self.predictor.class_names),
            "probability": probabilities.tolist(),
            "text": [f"{p:.1%}" if p >= 0.001 else "" for p in probabilities],
            "alpha": np.where(is_best, 1.0, _FADED).tolist(),
            "weight": np.where(is_best, "bold", "normal").tolist(),
        }
        self.seen.data = {"image": [seen[0, ::-1]]}  # rows count upwards

    def _canvas(self) -> figure:
        canvas = _bare_figure(CANVAS_SIDE, CANVAS_SIDE, x_range=(0, 1), y_range=(0, 1), outline_line_color="#444444")
        canvas.grid.visible = False
        lines: Any = canvas.multi_line(
            "xs",
            "ys",
            source=self.strokes,
            line_width=WIDTH * CANVAS_SIDE,
            line_color="black",
            line_cap="round",
            line_join="round",
            nonselection_alpha=1,
        )
        pen = FreehandDrawTool(renderers=[lines])
        canvas.add_tools(pen)
        canvas.toolbar.active_drag = pen
        return canvas

    def _picture(self) -> figure:
        picture = _bare_figure(SEEN_SIDE, SEEN_SIDE, x_range=(0, 1), y_range=(0, 1))
        shades = LinearColorMapper(palette="Greys256", low=0, high=255)
        picture.add_glyph(self.seen, Image(image="image", x=0, y=0, dw=1, dh=1, color_mapper=shades))
        return picture

    def _bar_chart(self) -> figure:
        names = list(self.predictor.class_names)
        chart = _bare_figure(360, 20 + _BAR_HEIGHT * len(names), x_range=(0, 1.4), y_range=names[::-1])
        chart.yaxis.visible = True
        chart.yaxis.axis_line_color = chart.yaxis.major_tick_line_color = None
        chart.yaxis.major_label_text_font_size = "15px"
        chart.hbar(
            "label", right="probability", height=0.7, source=self.bars, color=BLUE, alpha="alpha", line_color=None
        )
        chart.text(
            "probability",
            "label",
            "text",
            source=self.bars,
            x_offset=5,
            text_baseline="middle",
            text_font_size="14px",
            text_font_style="weight",
        )
        return chart


def _bare_figure(width: int, height: int, **settings: Any) -> figure:
    """A figure without axes, grid and toolbar."""
    settings = {"outline_line_color": None, "min_border": 2} | settings
    bare = figure(width=width, height=height, tools=[], toolbar_location=None, **settings)
    bare.axis.visible = False
    bare.grid.visible = False
    return bare


def _caption(text: str) -> Div:
    return Div(text=text, styles=_FONT | {"font-size": "15px"})
