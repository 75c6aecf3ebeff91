"""Contact sheets."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cnnlab.workbench.prediction.contact_sheet import MOST_ENTRIES, PICTURE_SIDE, Entry, draw

VERMILION = (213, 94, 0)


def pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as picture:
        return np.array(picture.convert("RGB"))


def entry(probability: float | None = 0.99, channels: int = 1) -> Entry:
    seen = np.zeros((channels, 28, 28), np.uint8)
    seen[0, 10:20, 12:16] = 255
    picture = np.full((3, 60, PICTURE_SIDE), 200, np.uint8)
    return Entry("ein Bild mit langem Namen, größer als der Platz darunter.png", picture, seen, "7", probability)


@pytest.mark.parametrize("number", [1, 5, MOST_ENTRIES])
def test_every_picture_and_what_was_seen_of_it(number: int) -> None:
    sheet = pixels(draw([entry()] * number, "title"))
    black = (sheet.max(axis=2) == 0).sum()
    assert black > number * 0.9 * (PICTURE_SIDE**2) * (1 - 40 / 784)
    assert (sheet == 200).all(axis=2).sum() == pytest.approx(number * 60 * PICTURE_SIDE, rel=0.01)


@pytest.mark.parametrize(("probability", "is_marked"), [(0.99, False), (0.5, True), (None, False)])
def test_unsure_answers_are_marked(probability: float | None, is_marked: bool) -> None:
    sheet = pixels(draw([entry(probability)], "title")).astype(int)
    assert bool((np.abs(sheet - VERMILION).max(axis=2) < 5).any()) == is_marked


def test_what_was_skipped_is_named_at_the_foot() -> None:
    sheets = [
        pixels(draw([entry()], "title", skipped)).astype(int) for skipped in ([], ["blank.png"], ["blank.png"] * 99)
    ]
    heights = [len(sheet) for sheet in sheets]
    assert heights[0] < heights[1] < heights[2] < heights[0] + 80
    assert (np.abs(sheets[1][heights[0] :] - VERMILION).max(axis=2) < 5).any()


def test_colour_is_seen_in_colour() -> None:
    sheet = pixels(draw([entry(channels=3)], "title"))
    assert (sheet == (255, 0, 0)).all(axis=2).any()


def test_names_out_of_hostile_files_are_written_as_what_they_are() -> None:
    hostile, harmless = "\x1b[2J\x07\r\n\u202e", r"\x1b[2J\x07\r\n\u202e"
    sheets = [draw([entry()._replace(name=name, label=name)], name) for name in (hostile, harmless)]
    assert sheets[0] == sheets[1]
