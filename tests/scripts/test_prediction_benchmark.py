"""The benchmark of pictures: honest distortions, right numbers, tables where they belong."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch

from cnnlab.data.files.imaging import read_image
from cnnlab.workbench.prediction.digits.digit import normalise_digit
from conftest import PROJECT, Finished


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(PROJECT / "scripts"))
    import prediction_benchmark

    return prediction_benchmark


def a_seven() -> np.ndarray:
    digit = np.zeros((28, 28), np.uint8)
    digit[6:9, 6:22] = 255
    digit[6:24, 16:19] = 255
    return digit


def test_every_way_gives_a_picture_that_is_read_and_the_same_for_one_seed(bench: ModuleType) -> None:
    for name, make in bench.PATHS.items():
        if name == "small in a large photo":
            continue
        content = make(a_seven(), np.random.default_rng(1))
        assert content == make(a_seven(), np.random.default_rng(1)), name
        picture = read_image(content, 1)[0]
        assert np.ptp(picture) > 60, name
        assert normalise_digit(picture).shape == (28, 28)


def test_the_claimed_ways_change_what_they_say(bench: ModuleType) -> None:
    digit, generator = a_seven(), np.random.default_rng(0)

    def pictures(name: str) -> list[np.ndarray]:
        return [read_image(bench.PATHS[name](digit, generator), 1)[0] for _ in range(20)]

    assert all(np.array_equal(picture, digit) for picture in pictures("PNG"))
    sides = [len(picture) for picture in pictures("enlarged")]
    assert min(sides) < 120 < 260 < max(sides) <= 12 * 28
    assert {int(np.flatnonzero(picture.max(axis=1))[0]) for picture in pictures("shifted")} >= {0, 10}
    assert {int(picture[0, 0]) for picture in pictures("inverted")} == {0, 255}
    corners = [int(picture[0, 0]) for picture in pictures("all together")]
    assert min(corners) < 35
    assert max(corners) > 215
    assert any(90 < corner < 170 for corner in corners)


def test_middle_lines_are_one_pixel_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "scripts"))
    import digit_pictures

    mask = np.zeros((40, 40), bool)
    mask[5:35, 17:24] = True
    lines = digit_pictures.middle_lines(mask)
    assert (lines.sum(axis=1)[10:30] == 1).all()


def test_points_are_those_lost_by_the_same_digits(bench: ModuleType) -> None:
    clean, correct = torch.tensor([True, True, True, False]), torch.tensor([True, False, True, False])
    row = bench.Outcome("shifted", correct, clean, 1, 2.5).row()
    assert (row["accuracy %"], row["points to clean"], row["refused"]) == (50.0, -25.0, 1)


def test_a_little_of_it(smoke: Callable[..., Finished], command: Callable[..., Finished]) -> None:
    assert smoke().status == 0
    done = command("scripts/prediction_benchmark.py", "latest", "--smoke", "--only", "PNG", "all together")
    assert (done.status, done.err) == (0, "")
    table = pd.read_csv("outputs/bench/prediction.csv")
    assert table["path"].tolist() == ["clean", "PNG", "all together"]
    assert table["images"].tolist() == [20] * 3
    assert Path("outputs/bench/prediction.md").read_text(encoding="utf-8").strip() in done.out
    assert "mnist-5k, 20 test digits, seed 0, TinyVGG" in done.out
    assert "claimed are at most 0.5" in done.out


def test_mistakes_are_told_in_one_line(command: Callable[..., Finished]) -> None:
    done = command("scripts/prediction_benchmark.py", "nowhere")
    assert done.status == 1
    assert re.fullmatch("error: .*nowhere is not a run folder.*\n", done.err)
    assert not Path("outputs").exists()
