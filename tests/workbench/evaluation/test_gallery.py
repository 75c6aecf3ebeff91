"""Galleries of samples."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cnnlab.workbench.evaluation.gallery import Answered, draw
from cnnlab.workbench.inspection.sample import Appearance

GREEN, VERMILION = (0, 158, 115), (213, 94, 0)


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.array(Image.open(io.BytesIO(png)).convert("RGB"))


def has(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(picture.astype(int) - colour).max(axis=2) < 12).any())


@pytest.mark.parametrize("is_right", [True, False])
def test_right_answers_are_green_and_wrong_ones_red(is_right: bool) -> None:
    sample = np.linspace(0, 1, 784, dtype=np.float32).reshape(1, 28, 28)
    picture = pixels(draw([Answered(sample, "#1\n7: 99%", is_right)] * 3, "title", "explanation"))
    assert has(picture, GREEN) == is_right
    assert has(picture, VERMILION) != is_right


def test_ink_is_dark_and_light_is_light() -> None:
    sample = np.zeros((1, 28, 28), np.float32)
    on_paper = pixels(draw([Answered(sample, "", True)] * 6, "t", "e", Appearance(is_ink=True)))
    as_light = pixels(draw([Answered(sample, "", True)] * 6, "t", "e", Appearance(is_ink=False)))
    assert on_paper.mean() > 220
    assert as_light.mean() < 190


@pytest.mark.parametrize(
    "shape", [(3, 30, 20), (1, 100), (4, 100), (1, 8, 8, 8), (5, 12, 12)], ids=lambda shape: "x".join(map(str, shape))
)
@pytest.mark.parametrize("number", [1, 7])
def test_samples_of_any_shape_in_as_many_rows_as_needed(shape: tuple[int, ...], number: int) -> None:
    sample = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    picture = pixels(draw([Answered(sample, "1: 1.0%\n→ 2: 99.0%", False)] * number, "t", "e"))
    height, width, _ = picture.shape
    assert width == 1120
    assert height == pytest.approx(160 * (0.75 + 1.62 * (1 if number == 1 else 2)), abs=2)
    assert picture.std() > 10


def test_wide_captions_are_neither_cut_nor_written_over() -> None:
    sample = np.ones((1, 8, 8), np.float32)
    caption = "#1\nkidney-left: 1.0%\n→ kidney-right: 99.0%"
    picture = pixels(draw([Answered(sample, caption, False)] * 6, "t", "e"))
    is_red = (np.abs(picture.astype(int) - VERMILION).max(axis=2) < 12).any(axis=0)
    assert not is_red[:5].any()
    assert not is_red[-5:].any()
    gaps = np.diff(np.flatnonzero(is_red))
    assert (gaps > 20).sum() == 3, "three gaps part the captions of a row of four"


def test_colours_stay_what_they_are() -> None:
    sample = np.zeros((3, 10, 10), np.float32)
    sample[2] = 1
    assert has(pixels(draw([Answered(sample, "sky", True)], "t", "e")), (0, 0, 255))
