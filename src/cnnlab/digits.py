"""Any picture of one handwritten digit, as MNIST's authors would have made it.

LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition", section III.A: digits
are fitted into a box of 20x20 pixels, the sides' ratio kept, grey by anti-aliasing, and put into 28x28 pixels by their
centre of mass. All 60,000 training images have their centre of mass within half a pixel of pixel 14 (counted from 0,
at pixels' centres): whole pixels are shifted, and 14 is what is rounded to. 59,987 of them have a longest side of 20.

On the way there: find what stands out from its surroundings, decide whether strokes are dark or light, cut the digit
out at a scale that keeps its detail, take the paper with its shadows away, and keep what belongs together. A frame is
left out, and specks, shadows and what runs along the picture's border as far as they can be told from strokes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from cnnlab.errors import UserError

SIDE, BOX_SIDE, CENTRE = 28, 20, 14

Grey = NDArray[np.uint8]
Map = NDArray[np.float32]

# Longest sides, in pixels: of a picture in which a digit is looked for, and of a digit that is cleaned.
_SEARCH_SIDES, _CLEANING_SIDE = (200, 512), 112
# Around a digit, as a share of its longest side: paper to compare it with, more of it to tell dark from light strokes.
_MARGIN, _WIDE_MARGIN = 0.25, 0.5
# Grey levels of 255 by which strokes must stand out, and multiples of the noise's standard deviation.
_MIN_CONTRAST, _MIN_CONTRAST_TO_NOISE = 24.0, 20.0
# The same of the cores of strokes, once they are cleaned: a pencil's leave five sixths of the paper's light.
_MIN_INK = 40.0
_NEGLIGIBLE_NOISE = 0.5
_DARKEST_PAPER = 64.0
# The contrast of a picture is what so many pixels reach: the highest alone may be a speck.
_NUM_PEAK = 8
# A digit's longest side, as a share of the picture's.
_MIN_EXTENT = 0.02
# Pieces of a digit: the smallest, as a share of the ink of the largest, and the widest gap, as a share of its side.
_MIN_PIECE, _MAX_GAP = 0.02, 0.3
_MAX_NUM_PIECES = 50
# What reaches the picture's border with less than this share of the strongest contrast is the tip of a shadow.
_FAINT = 0.75
# What lies in this share of the picture's side along its border, for the most part, is a frame and no digit.
_BORDER = 0.06
# Grey levels within which a frame stays, and by which it differs from what is inside.
_FRAME_SPREAD, _FRAME_STEP = 40, 60
# Widths of strokes as a share of the picture, and of the squares that tell strokes that wide from the ground.
_STROKES_AND_GROUNDS = ((0.1, 0.22), (0.16, 0.35))
_WIDEST_GROUND, _NARROWEST_GROUND = 0.5, 0.15
# Widths of strokes in pixels of the box of 20. Of MNIST's half lie between 2.0 and 2.8, one in a thousand below 1.3
# and one above 5.6.
_THIN, _THICKENED = 1.3, 2.0
# The widest strokes, and the largest share of their outline along the picture's border. Ink that leaves more of the
# paper's light than so much of 255 may be a shadow.
_FAINT_INK = 165.0
_LIMITS_OF_INK, _LIMITS_OF_FAINT_INK = (8.0, 0.4), (4.5, 0.12)
# From paper to ink, in pixels of the box of 20.
_LONGEST_RAMP = 2.3


@dataclass(frozen=True)
class Box:
    """A part of a picture, in pixels; bottom and right are the first ones outside."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def longest(self) -> int:
        return max(self.height, self.width)

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def widened(self, margin: float, shape: tuple[int, ...]) -> "Box":
        """With a margin in pixels all around, as far as the picture goes."""
        extra = int(np.ceil(margin))
        return Box(
            max(0, self.top - extra),
            max(0, self.left - extra),
            min(shape[0], self.bottom + extra),
            min(shape[1], self.right + extra),
        )

    def shifted(self, down: int, right: int) -> "Box":
        return Box(self.top + down, self.left + right, self.bottom + down, self.right + right)

    def scaled(self, factor: float, shape: tuple[int, ...]) -> "Box":
        """In the pixels of a picture that is so many times larger."""
        return Box(
            int(self.top * factor),
            int(self.left * factor),
            min(shape[0], int(np.ceil(self.bottom * factor))),
            min(shape[1], int(np.ceil(self.right * factor))),
        )


@dataclass(frozen=True)
class Digit:
    """A digit, and where it came from.

    Attributes:
        pixels: uint8 (28, 28), strokes of 255 on 0.
        box: the part of the picture that it was cut out of.
        has_dark_strokes: whether it was dark on light.
    """

    pixels: Grey
    box: Box
    has_dark_strokes: bool


def normalise_digit(grey: Grey) -> Grey:
    """Return the digit of a grey picture (H, W) of any size as (28, 28), strokes of 255 on 0.

    Raises:
        UserError: if there is no digit in it.
    """
    return extract_digit(grey).pixels


def extract_digit(grey: Grey) -> Digit:
    """Find the digit of a grey picture (H, W) of any size, strokes dark or light, and normalise it.

    Raises:
        UserError: if there is no digit in it.
    """
    frame = _inside_frame(grey)
    picture = grey[frame.slices]
    search = _Search.of(picture)
    for strokes in _candidates(search, picture):
        cut = _cut_out(picture, strokes.box, _MARGIN)
        ink, contrast = _clean(cut.light(strokes.are_dark), strokes.ground.within(strokes.box).scaled(cut.scale))
        if _are_strokes(ink, contrast):
            box = cut.to_picture(_extent(ink)).shifted(frame.top, frame.left)
            return Digit(_centred(_fitted(_thickened(ink))), box, strokes.are_dark)
    raise UserError("no digit in it: what stands out from the background are no strokes")


# --- Finding the digit ------------------------------------------------------------------------------------------------


def _inside_frame(grey: Grey) -> Box:
    """The picture without a border of one colour on three sides at least."""
    height, width = grey.shape
    top, bottom, left, right = (_frame_width(side) for side in (grey, grey[::-1], grey.T, grey.T[::-1]))
    if sum(thickness > 0 for thickness in (top, bottom, left, right)) < 3:
        return Box(0, 0, height, width)
    return Box(top, left, height - bottom, width - right)


def _frame_width(grey: Grey) -> int:
    """Rows from the top on that are alike all along, and unlike those below."""
    rows = np.sort(grey[: len(grey) // 4 + 1, :: max(1, grey.shape[1] // 100)].astype(np.int32), axis=1)
    last = rows.shape[1] - 1
    low, middle, high = (rows[:, round(share * last)] for share in (0.03, 0.5, 0.97))
    inner = np.flatnonzero(np.abs(middle - middle[0]) > _FRAME_STEP)
    if not inner.size:
        return 0
    width = int(inner[0])
    is_even = (high - low)[: max(1, width - 1)].max() < _FRAME_SPREAD
    return width + 1 if is_even else 0  # one row more: its edge may be blurred


@dataclass(frozen=True)
class _Ground:
    """What strokes are on: all that is wider than a square of this side, in pixels.

    Attributes:
        mode: what lies beyond the border: "nearest" what is there, so that shadows go on and strokes along the border
            are lost; "constant" nothing, so that they are kept, and so are the tips of shadows.
    """

    side: float
    mode: str

    def scaled(self, factor: float) -> "_Ground":
        return _Ground(self.side * factor, self.mode)

    def within(self, box: Box) -> "_Ground":
        """No larger than three quarters of the digit."""
        return _Ground(min(self.side, 0.75 * box.longest), self.mode)


@dataclass(frozen=True)
class _Strokes:
    box: Box
    ground: _Ground
    are_dark: bool


@dataclass(frozen=True)
class _Search:
    """A picture shrunk by a whole factor."""

    picture: Map
    noise: float
    factor: int

    @classmethod
    def of(cls, grey: Grey) -> "_Search":
        longest = max(grey.shape)
        factor = int(np.ceil(longest / np.clip(longest / 4, *_SEARCH_SIDES)))
        picture, noise = _smoothed(np.asarray(Image.fromarray(grey).reduce(factor), dtype=np.float32))
        return cls(picture, noise, factor)

    def light(self, are_dark: bool) -> Map:
        return 255 - self.picture if are_dark else self.picture

    def find(self, are_dark: bool, ground: _Ground, shape: tuple[int, ...]) -> _Strokes | None:
        contrast = _stroke_contrast(self.light(are_dark), ground)
        peak = _peak(contrast)
        if peak < max(_MIN_CONTRAST, _MIN_CONTRAST_TO_NOISE * self.noise):
            return None
        pieces = _pieces(contrast, contrast > 0.45 * peak)
        box = _around([piece.box for piece in _belonging_together(pieces)])
        if all(piece.is_frame for piece in pieces) or box.longest < _MIN_EXTENT * max(contrast.shape):
            return None
        return _Strokes(box.scaled(self.factor, shape), ground.scaled(self.factor), are_dark)


def _candidates(search: _Search, picture: Grey) -> Iterator[_Strokes]:
    """Strokes that may be the digit, the most likely first."""
    found = {}
    for are_dark in (True, False):
        strokes = search.find(are_dark, _ground_of(search.light(are_dark)), picture.shape)
        if strokes is not None:
            found[are_dark] = strokes
    if not found:
        raise UserError("no digit in it: nothing stands out from the background")
    likely = _has_dark_strokes(_cut_out(picture, _around([one.box for one in found.values()]), _WIDE_MARGIN).pixels)
    yield found.get(likely) or found[not likely]
    narrow = _Ground(_NARROWEST_GROUND * max(search.picture.shape), "nearest")
    if (strokes := search.find(likely, narrow, picture.shape)) is not None:
        yield strokes


def _ground_of(light: Map) -> _Ground:
    """The smallest ground that light strokes are not part of, where there is one: it leaves shadows out as well.

    Grounds of growing squares lose the edges of strokes once the squares are wider than they. Where a ground twice as
    wide loses no more, the strokes are gone, and what is left are edges of something else.
    """
    factor = int(np.ceil(max(light.shape) / (100 if max(light.shape) <= _SEARCH_SIDES[0] else 256)))
    coarse = np.asarray(Image.fromarray(light).reduce(factor))
    longest = max(coarse.shape)
    energy = _edge_energy(coarse)

    def lost(share: float, mode: str) -> float:
        return energy - _edge_energy(_ground(coarse, _Ground(share * longest, mode)))

    for stroke, share in _STROKES_AND_GROUNDS:
        wide = lost(share, "nearest")
        if wide <= 1.1 * lost(stroke, "nearest"):
            has_strokes_along_border = lost(share, "constant") > 1.2 * wide
            return _Ground(share * max(light.shape), "constant" if has_strokes_along_border else "nearest")
    return _Ground(_WIDEST_GROUND * max(light.shape), "constant")


def _edge_energy(picture: Map) -> float:
    return sum(float(np.square(np.diff(picture, axis=axis)).sum()) for axis in (0, 1))


def _smoothed(picture: Map) -> tuple[Map, float]:
    """A picture with less noise, and the standard deviation of what noise is left."""
    noise = _noise(picture)
    if noise < _NEGLIGIBLE_NOISE or max(picture.shape) < 2 * SIDE:
        return picture, noise
    return ndimage.gaussian_filter(picture, 1.0), 0.28 * noise  # 1 / (2 sqrt(pi)) of what is independent is left


def _noise(picture: Map) -> float:
    """Standard deviation of the noise, from what differs from a plane in 3x3 pixels (Immerkær 1996)."""
    curved = np.diff(np.diff(picture, 2, axis=0), 2, axis=1)
    return float(np.median(np.abs(curved))) / (6 * 0.6745) if curved.size else 0.0


def _ground(light: Map, ground: _Ground) -> Map:
    """An opening: it levels all that is light and holds no such square, but leaves straight edges where they are."""
    sides = [min(max(3, round(ground.side)), length) for length in light.shape]
    lowest = ndimage.minimum_filter(light, sides, mode=ground.mode, cval=0.0)
    origins = [length % 2 - 1 for length in sides]  # an even filter has no middle: the mirrored one
    opened: Map = ndimage.maximum_filter(lowest, sides, mode=ground.mode, cval=0.0, origin=origins)
    return opened


def _stroke_contrast(light: Map, ground: _Ground) -> Map:
    """By how much of 255 light strokes stand out from their ground, which may be lit unevenly.

    Of an inverted picture of ink on paper this is the share of light that the ink swallows, in a shadow or outside.
    """
    level = _ground(light, ground)
    contrast: Map = (light - level) * (255.0 / np.maximum(255.0 - level, _DARKEST_PAPER))
    return contrast


def _peak(contrast: Map) -> float:
    rank = max(contrast.size - _NUM_PEAK, 0)
    return float(np.partition(contrast, rank, axis=None)[rank])


def _has_dark_strokes(cut: Map) -> bool:
    """Whether what deviates from the local median, paper for the most part, deviates to the dark.

    The picture is taken to go on beyond its border as it is there: strokes seldom follow the border, paper does.
    """
    factor = int(np.ceil(max(cut.shape) / 48))
    levels = Image.fromarray(cut.astype(np.uint8)).reduce(factor)
    small = np.asarray(levels, dtype=np.float32)
    deviation = small - _local_median(small, int(0.75 * max(small.shape)) | 1)
    return bool((deviation * np.abs(deviation)).sum() < 0)


def _local_median(picture: Map, side: int) -> Map:
    """The median of the square of that side around each pixel, to 1/32 of the range: counted, not sorted."""
    lowest, highest = picture.min(), picture.max()
    levels = np.linspace(lowest, highest, 33, dtype=np.float32)[:-1]
    above = (picture[None] > levels[:, None, None]).astype(np.float32)
    shares = ndimage.uniform_filter(above, (1, side, side), mode="nearest")
    median: Map = lowest + (highest - lowest) * (shares > 0.5).mean(axis=0, dtype=np.float32)
    return median


# --- What belongs together --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Piece:
    """Pixels that hang together.

    Attributes:
        label: their number in `labels`.
        ink: the sum of their contrast; strength: its mean.
        is_frame: whether they run along the border of the picture.
        is_line: whether they cross the picture, as a ruled line does, or a 1 that fills it.
    """

    labels: NDArray[np.int32]
    label: int
    box: Box
    ink: float
    strength: float
    touches: bool
    is_frame: bool
    is_line: bool


def _pieces(contrast: Map, mask: NDArray[np.bool_]) -> list[_Piece]:
    """The pieces of the mask with the most ink."""
    labels, num_labels = ndimage.label(mask, np.ones((3, 3)))
    ink = np.bincount(labels.ravel(), contrast.ravel(), num_labels + 1)[1:]
    areas = np.bincount(labels.ravel(), minlength=num_labels + 1)[1:]
    inside = labels[_border_band(labels.shape)]
    near_border = areas - np.bincount(inside.ravel(), minlength=num_labels + 1)[1:]
    places = ndimage.find_objects(labels)
    pieces = []
    for index in np.argsort(-ink)[:_MAX_NUM_PIECES]:
        rows, columns = places[index]
        box = Box(rows.start, columns.start, rows.stop, columns.stop)
        crosses = (box.top == 0 and box.bottom == labels.shape[0]) or (box.left == 0 and box.right == labels.shape[1])
        is_line = crosses and min(box.height, box.width) < 0.15 * box.longest
        is_frame = bool(near_border[index] > 0.6 * areas[index]) and _touches(box, labels.shape)
        pieces.append(
            _Piece(
                labels,
                int(index) + 1,
                box,
                float(ink[index]),
                float(ink[index] / areas[index]),
                _touches(box, labels.shape),
                is_frame,
                is_line,
            )
        )
    return pieces


def _border_band(shape: tuple[int, ...]) -> tuple[slice, slice]:
    """What is left of a picture without the band along its border."""
    height, width = (round(_BORDER * length) for length in shape)
    return slice(height, shape[0] - height), slice(width, shape[1] - width)


def _touches(box: Box, shape: tuple[int, ...]) -> bool:
    return box.top == 0 or box.left == 0 or box.bottom == shape[0] or box.right == shape[1]


def _belonging_together(pieces: list[_Piece]) -> list[_Piece]:
    """The piece with the most ink, and those near enough for their size to be of the same digit."""
    candidates = [piece for piece in pieces if not (piece.is_frame or piece.is_line)] or pieces
    strongest = max(piece.strength for piece in candidates if piece.ink >= 0.1 * candidates[0].ink)
    candidates = [
        piece for piece in candidates if not piece.touches or piece.strength > _FAINT * strongest
    ] or candidates
    largest, *others = candidates
    chosen = [largest]
    while True:
        box = _around([piece.box for piece in chosen])
        near = [piece for piece in others if _is_part_of(piece, box, largest.ink)]
        if not near:
            return chosen
        chosen += near
        others = [piece for piece in others if piece not in near]


def _is_part_of(piece: _Piece, box: Box, ink: float) -> bool:
    share = piece.ink / ink
    return share >= _MIN_PIECE and _gap(piece.box, box) <= min(_MAX_GAP, 0.05 + share) * box.longest


def _gap(one: Box, other: Box) -> int:
    down = max(one.top - other.bottom, other.top - one.bottom)
    across = max(one.left - other.right, other.left - one.right)
    return max(down, across, 0)


def _around(boxes: Sequence[Box]) -> Box:
    return Box(
        min(box.top for box in boxes),
        min(box.left for box in boxes),
        max(box.bottom for box in boxes),
        max(box.right for box in boxes),
    )


# --- Cleaning it ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cut:
    """A part of a picture, shrunk."""

    pixels: Map
    part: Box
    scale: float

    def light(self, are_dark: bool) -> Map:
        return 255 - self.pixels if are_dark else self.pixels

    def to_picture(self, box: Box) -> Box:
        size = (self.part.height, self.part.width)
        return box.scaled(1 / self.scale, size).shifted(self.part.top, self.part.left)


def _cut_out(grey: Grey, box: Box, margin: float) -> _Cut:
    """The digit with a margin, no larger than cleaning needs."""
    part = box.widened(margin * box.longest, grey.shape)
    pixels = grey[part.slices]
    scale = min(1.0, _CLEANING_SIDE / box.longest)
    if scale < 1.0:
        width, height = (max(1, round(scale * length)) for length in (part.width, part.height))
        smaller = Image.fromarray(pixels).resize((width, height), Image.Resampling.HAMMING, reducing_gap=2.0)
        pixels = np.asarray(smaller)
    return _Cut(pixels.astype(np.float32), part, scale)


def _clean(light: Map, ground: _Ground) -> tuple[Map, float]:
    """Light strokes as ink from 0 to 1, on paper of exactly 0, and by how much of 255 they stood out."""
    smooth, _ = _smoothed(light)
    contrast = _stroke_contrast(smooth, ground)
    peak = _peak(contrast)
    paper = contrast[contrast < 0.4 * peak]
    level = float(np.median(paper)) if paper.size else 0.0
    spread = 1.4826 * float(np.median(np.abs(paper - level))) if paper.size else 0.0
    lowest = level + 3 * spread
    core = float(np.percentile(contrast[contrast > 0.5 * (peak + level)], 75))
    ink: Map = np.clip((contrast - lowest) / (core - lowest), 0, 1)
    return _without_dirt(ink), core - level


def _are_strokes(ink: Map, contrast: float) -> bool:
    """Whether it has a pen's edges and width, or is what is left of a shadow."""
    scale = BOX_SIDE / _extent(ink).longest
    edges = _edges(ink)
    length = float(edges.sum())
    ramp = scale * length / float(np.square(edges).sum())
    along_border = float(ink[0].sum() + ink[-1].sum() + ink[:, 0].sum() + ink[:, -1].sum()) / length
    widest, most_along_border = _LIMITS_OF_FAINT_INK if contrast < _FAINT_INK else _LIMITS_OF_INK
    return (
        contrast >= _MIN_INK
        and ramp <= _LONGEST_RAMP
        and scale * _stroke_width(ink) <= widest
        and along_border <= most_along_border
    )


def _without_dirt(ink: Map) -> Map:
    """Only what belongs to the digit, with the soft edges of its strokes."""
    chosen = _belonging_together(_pieces(ink, ink > 0.3))
    kept = np.isin(chosen[0].labels, [piece.label for piece in chosen])
    reach = max(2, round(0.04 * _around([piece.box for piece in chosen]).longest))
    cleaned: Map = ink * ndimage.maximum_filter(kept, 2 * reach + 1)
    return cleaned


def _thickened(ink: Map) -> Map:
    """Strokes that would be too thin in the box of 20 pixels, as wide as MNIST's are."""
    longest = _extent(ink).longest
    if _stroke_width(ink) * BOX_SIDE / longest >= _THIN:
        return ink
    enlarged = _enlarged(ink, int(np.ceil(4 * BOX_SIDE / longest)))
    scale = _extent(enlarged).longest / BOX_SIDE
    radius = (_THICKENED * scale - _stroke_width(enlarged)) / 2
    padded = np.pad(enlarged, int(np.ceil(radius)) + 1)
    distance = ndimage.distance_transform_edt(padded < 0.4)
    wider: Map = np.maximum(padded, np.clip(radius + 1 - distance, 0, 1)).astype(np.float32)
    return wider


def _stroke_width(ink: Map) -> float:
    """Of long strokes, in pixels: twice the area over the perimeter, which is the total variation."""
    return 2 * float(ink.sum()) / float(_edges(ink).sum())


def _edges(ink: Map) -> Map:
    """Magnitude of the gradient, with the borders."""
    padded = np.pad(ink, 1)
    edges: Map = np.hypot(np.diff(padded, axis=0)[:, 1:], np.diff(padded, axis=1)[1:])
    return edges


def _enlarged(ink: Map, factor: int) -> Map:
    if factor == 1:
        return ink
    size = (ink.shape[1] * factor, ink.shape[0] * factor)
    enlarged: Map = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BICUBIC))
    return enlarged.clip(0, 1)


def _extent(ink: Map) -> Box:
    rows, columns = (np.flatnonzero((ink > 0.05).any(axis=axis)) for axis in (1, 0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def _fitted(ink: Map) -> Map:
    """The digit with a longest side of 20 pixels."""
    box = _extent(ink)
    height, width = (max(1, round(BOX_SIDE * length / box.longest)) for length in (box.height, box.width))
    filtering = Image.Resampling.BOX if box.longest >= BOX_SIDE else Image.Resampling.BICUBIC
    resized = Image.fromarray(ink[box.slices]).resize((width, height), filtering)
    fitted: Map = np.asarray(resized)
    return fitted.clip(0, 1)


def _centred(fitted: Map) -> Grey:
    """Into 28x28 pixels, the centre of mass as near to pixel 14 as whole pixels allow."""
    height, width = fitted.shape
    middle = ndimage.center_of_mass(fitted)
    top, left = (
        int(np.clip(np.rint(CENTRE - at), 0, SIDE - length)) for at, length in zip(middle, (height, width), strict=True)
    )
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[top : top + height, left : left + width] = np.rint(255 * fitted)
    return pixels
