"""What the page is told about a drawing: the digits in it, and the way of one of them through the network."""

import base64
import math
import threading
from typing import Any

import numpy as np

from cnnlab.errors import UserError
from cnnlab.workbench.demo.strokes import SIDE, WIDTH, rasterise
from cnnlab.workbench.inspection.activations import Activation
from cnnlab.workbench.inspection.through_the_net import choose_stages, chosen_channels
from cnnlab.workbench.prediction.predictor import Predictor

_MOST_POINTS = 20_000
_WIDEST = 0.2
_MOST_STAGES = 12
_LONGEST_VECTOR = 100  # values of a layer without maps that are shown


class Network:
    """A trained network that answers drawings, one at a time: several windows may ask at once.

    Args:
        predictor: takes pictures of digits.
        title: which network this is.
    """

    def __init__(self, predictor: Predictor, title: str) -> None:
        self.predictor, self.title = predictor, title
        self._lock = threading.Lock()

    def about(self) -> dict[str, Any]:
        """What the page shows before anything is drawn."""
        names = self.predictor.class_names
        return {"title": self.title, "classes": names, "are_digits": all(name.isdigit() for name in names)}

    def answer(self, drawing: Any) -> dict[str, Any]:
        """What is seen in {"strokes": [[[x, y], …], …], "width": …, "chosen": …}, places and sizes from 0 to 1.

        Returns:
            digits, from left to right, each with its probabilities, place and 28x28 pixels; `way`, the layers' outputs
            for the one numbered `chosen` or else the first; and `remark`, in words, if there is something to say.

        Raises:
            UserError: if the drawing is no such thing.
        """
        strokes, width, chosen = _checked(drawing)
        with self._lock:
            try:
                answers, boxes, num_unread = self.predictor.digits_in(rasterise(strokes, width))
            except UserError as error:
                return {"digits": [], "way": [], "chosen": 0, "remark": str(error).partition(": ")[2] or str(error)}
            chosen = min(chosen, len(answers) - 1)
            way = self.predictor.way(answers[chosen])
        digits = [
            {
                "label": answer.label,
                "probabilities": [round(float(share), 6) for share in answer.probabilities],
                "box": [edge / SIDE for edge in (box.left, box.top, box.right, box.bottom)],
                "seen": _text(answer.seen[0]),
            }
            for answer, box in zip(answers, boxes, strict=True)
        ]
        remark = f"{num_unread} more not read: draw in one row" if num_unread else None
        stages = [_stage(stage) for stage in choose_stages(way, _MOST_STAGES)]
        return {"digits": digits, "chosen": chosen, "way": stages, "remark": remark}


def _checked(drawing: Any) -> tuple[list[list[list[float]]], float, int]:
    try:
        strokes = [[[float(x), float(y)] for x, y in stroke] for stroke in drawing["strokes"]]
        width, chosen = float(drawing.get("width", WIDTH)), int(drawing.get("chosen", 0))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise UserError('expected {"strokes": [[[x, y], …], …], "width": 0.06, "chosen": 0}') from error
    numbers = [number for stroke in strokes for point in stroke for number in point]
    if not all(math.isfinite(number) and -1 <= number <= 2 for number in numbers):
        raise UserError("expected places from 0 to 1")
    if not 0 < width <= _WIDEST or chosen < 0 or len(numbers) > 2 * _MOST_POINTS:
        raise UserError(f"expected a width of at most {_WIDEST}, chosen >= 0 and at most {_MOST_POINTS} points")
    return [stroke for stroke in strokes if stroke], width, chosen


def _stage(stage: Activation) -> dict[str, Any]:
    """A layer's output as bytes from 0 to 255: of signed values 128 is 0, of others 0 is."""
    values = stage.values
    maps = (
        values[chosen_channels(len(values))] if values.ndim == 3 else values.reshape(-1)[:_LONGEST_VECTOR, None][None]
    )
    limit = float(np.abs(values).max()) or 1.0
    is_signed = bool((values < 0).any())
    shades = 128 + 127 * maps / limit if is_signed else 255 * maps / limit
    height, width = maps.shape[1:]
    return {
        "layer": stage.layer,
        "shape": list(stage.shape[1:]),
        "height": height,
        "width": width,
        "signed": is_signed,
        "maps": [_text(one) for one in shades.round().astype(np.uint8)],
    }


def _text(pixels: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()
