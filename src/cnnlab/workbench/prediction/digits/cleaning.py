"""Turns a picture of strokes on paper into ink on an empty ground."""

import numpy as np
from scipy import ndimage

from cnnlab.workbench.prediction.digits.box import Box, surrounding
from cnnlab.workbench.prediction.digits.ground import Ground, peak_of, smoothed, stroke_contrast
from cnnlab.workbench.prediction.digits.measures import BOX_SIDE, Map
from cnnlab.workbench.prediction.digits.pieces import belonging_together, pieces_of

# Grey levels of 255 by which the cores of strokes must stand out: a pencil's leave five sixths of the paper's light.
_MIN_INK = 40.0
# The widest strokes, and the largest share of their outline along the picture's border. Ink that leaves more of the
# paper's light than so much of 255 may be a shadow.
_FAINT_INK = 165.0
_LIMITS_OF_INK, _LIMITS_OF_FAINT_INK = (8.0, 0.4), (4.5, 0.12)
# From paper to ink, in pixels of the box of 20.
_LONGEST_RAMP = 2.3


def clean(light: Map, ground: Ground) -> tuple[Map, float]:
    """Light strokes as ink from 0 to 1, on paper of exactly 0, and by how much of 255 they stood out."""
    smooth, _ = smoothed(light)
    contrast = stroke_contrast(smooth, ground)
    peak = peak_of(contrast)
    paper = contrast[contrast < 0.4 * peak]
    level = float(np.median(paper)) if paper.size else 0.0
    spread = 1.4826 * float(np.median(np.abs(paper - level))) if paper.size else 0.0
    lowest = level + 3 * spread
    core = float(np.percentile(contrast[contrast > 0.5 * (peak + level)], 75))
    ink: Map = np.clip((contrast - lowest) / (core - lowest), 0, 1)
    return _without_dirt(ink), core - level


def are_strokes(ink: Map, contrast: float) -> bool:
    """Whether it has a pen's edges and width, or is what is left of a shadow."""
    scale = BOX_SIDE / extent(ink).longest
    edges = _edges(ink)
    length = float(edges.sum())
    ramp = scale * length / float(np.square(edges).sum())
    along_border = float(ink[0].sum() + ink[-1].sum() + ink[:, 0].sum() + ink[:, -1].sum()) / length
    widest, most_along_border = _LIMITS_OF_FAINT_INK if contrast < _FAINT_INK else _LIMITS_OF_INK
    return (
        contrast >= _MIN_INK
        and ramp <= _LONGEST_RAMP
        and scale * stroke_width(ink) <= widest
        and along_border <= most_along_border
    )


def _without_dirt(ink: Map) -> Map:
    """Only what belongs to the digit, with the soft edges of its strokes."""
    chosen = belonging_together(pieces_of(ink, ink > 0.3))
    kept = np.isin(chosen[0].labels, [piece.label for piece in chosen])
    reach = max(2, round(0.04 * surrounding([piece.box for piece in chosen]).longest))
    cleaned: Map = ink * ndimage.maximum_filter(kept, 2 * reach + 1)
    return cleaned


def stroke_width(ink: Map) -> float:
    """Of long strokes, in pixels: twice the area over the perimeter, which is the total variation."""
    return 2 * float(ink.sum()) / float(_edges(ink).sum())


def _edges(ink: Map) -> Map:
    """Magnitude of the gradient, with the borders."""
    padded = np.pad(ink, 1)
    edges: Map = np.hypot(np.diff(padded, axis=0)[:, 1:], np.diff(padded, axis=1)[1:])
    return edges


def extent(ink: Map) -> Box:
    rows, columns = (np.flatnonzero((ink > 0.05).any(axis=axis)) for axis in (1, 0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
