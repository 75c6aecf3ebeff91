"""Corruptions do what their names say, by the strength they say."""

import math

import pytest
import torch
from torch import Tensor

from cnnlab.workbench.evaluation.corruptions import CORRUPTIONS, severities
from conftest import embedded_digits


@pytest.fixture(scope="module")
def digits() -> Tensor:
    pixels, _ = embedded_digits()
    return torch.tensor(pixels[::50]).float()[:, None] / 255


def spoilt(batch: Tensor, name: str, seed: int) -> list[Tensor]:
    """Severity 0, the images as they are, to 5."""
    return [batch, *severities(batch, name, seed)]


def centre(batch: Tensor) -> Tensor:
    """Centres of mass (N, 2) as (x, y), in pixels."""
    mass = batch.sum(dim=(1, 2, 3))
    x = (batch.sum(dim=(1, 2)) * torch.arange(batch.shape[3])).sum(1) / mass
    y = (batch.sum(dim=(1, 3)) * torch.arange(batch.shape[2])).sum(1) / mass
    return torch.stack([x, y], dim=1)


def spread(batch: Tensor) -> Tensor:
    """Mean squared distance from the picture's centre, (N,)."""
    y, x = torch.meshgrid(*[torch.arange(28) - 13.5] * 2, indexing="ij")
    return (batch[:, 0] * (x**2 + y**2)).sum(dim=(1, 2)) / batch.sum(dim=(1, 2, 3))


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_severity_rises_and_the_picture_keeps_its_shape(name: str, digits: Tensor) -> None:
    batches = spoilt(digits, name, seed=0)
    assert len(batches) == 6
    for batch in batches:
        assert batch.shape == digits.shape
        assert batch.dtype == digits.dtype
        assert float(batch.min()) >= 0
        assert float(batch.max()) <= 1
    distances = [float((batch - digits).abs().mean()) for batch in batches]
    assert distances == sorted(distances)
    assert distances[1] > 0
    again = spoilt(digits, name, seed=0)
    assert all(torch.equal(one, other) for one, other in zip(batches, again, strict=True))


def test_shift_moves_by_a_share_of_the_side_in_every_direction(digits: Tensor) -> None:
    _, moved, *_ = spoilt(digits, "shift", seed=0)
    steps = centre(moved) - centre(digits)
    assert steps.norm(dim=1) == pytest.approx(torch.full((100,), 0.04 * 28), abs=0.1)
    assert (steps > 0.3).any(dim=0).all()
    assert (steps < -0.3).any(dim=0).all()


def test_rotation_turns_both_ways_and_keeps_distances(digits: Tensor) -> None:
    *_, turned = spoilt(digits, "rotation", seed=0)
    assert spread(turned) == pytest.approx(spread(digits), rel=0.15)  # corners are cut off
    one = digits[:1].clone().zero_()
    one[0, 0, 13:15, 20] = 1  # a spot to the right of the centre
    places = []
    for seed in range(8):
        x, y = (centre(spoilt(one, "rotation", seed)[3])[0] - 13.5).tolist()
        places.append(math.degrees(math.atan2(y, x)))
    assert {round(place / 30) for place in places} == {-1, 1}


def test_scale_enlarges_some_and_shrinks_others(digits: Tensor) -> None:
    ratio = (spread(spoilt(digits, "scale", seed=0)[2]) / spread(digits)).sqrt()
    larger = ratio > 1
    assert 20 < int(larger.sum()) < 80
    assert float(ratio[larger].median()) == pytest.approx(1.2, rel=0.01)
    assert float(ratio[~larger].median()) == pytest.approx(1 / 1.2, rel=0.01)


def test_brightness_noise_and_occlusion_have_the_strength_they_say() -> None:
    grey = torch.full((200, 3, 40, 40), 0.5)
    brighter = spoilt(grey, "brightness", seed=0)[2]
    assert (brighter[:, 0, 0, 0] - 0.5).abs() == pytest.approx(torch.full((200,), 0.2), abs=1e-6)
    assert float((spoilt(grey, "noise", seed=0)[1] - 0.5).std()) == pytest.approx(0.1, rel=0.02)
    white = torch.ones(200, 3, 40, 40)
    covered = spoilt(white, "occlusion", seed=0)[2] == 0.5
    assert set(covered.sum(dim=(2, 3)).flatten().tolist()) == {10 * 10}
    somewhere = covered[:, 0].any(dim=0)
    assert all(edge.any() for edge in (somewhere[0], somewhere[-1], somewhere[:, 0], somewhere[:, -1]))


def test_blur_keeps_the_ink_and_spreads_it(digits: Tensor) -> None:
    blurred = spoilt(digits, "blur", seed=0)[2]
    assert float(blurred.sum()) == pytest.approx(float(digits.sum()), rel=0.01)
    assert float(blurred.amax()) < 1
    tiny = spoilt(torch.rand(2, 1, 3, 3), "blur", seed=0)
    assert tiny[-1].shape == (2, 1, 3, 3)


def test_pixels_turn_and_not_the_unit_square() -> None:
    wide = torch.zeros(1, 1, 40, 80)
    wide[0, 0, 18:22, 53:57] = 1  # 15 pixels to the right of the centre
    x, y = (centre(spoilt(wide, "rotation", seed=0)[3])[0] - torch.tensor([39.5, 19.5])).tolist()
    assert math.hypot(x, y) == pytest.approx(15, abs=0.3)
    assert abs(math.degrees(math.atan2(y, x))) == pytest.approx(30, abs=1)


def test_a_photograph_has_no_black_corners() -> None:
    photographs = torch.full((8, 3, 20, 20), 0.7)
    for name in ("shift", "rotation", "scale"):
        for batch in severities(photographs, name, seed=0):
            assert batch.min() == pytest.approx(0.7, abs=1e-5)
