"""Elastic distortion: smooth, of the size that its source gives, another one for every image."""

import pytest
import torch
from torch import Generator, Tensor

from cnnlab.data.augment import Affine
from cnnlab.data.augment_elastic import Elastic

# Little is lost at the border of images this large.
SIZE, ALPHA, SIGMA = 64, 34.0, 4.0


def generator(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def moves() -> Tensor:
    """How far each pixel moves, in pixels: (N, H, W, 2)."""
    batch = torch.zeros(200, 1, SIZE, SIZE)
    still = Affine(0, 0, 0).grid(batch, generator())
    return (Elastic(ALPHA, SIGMA, 0, 0, 0).grid(batch, generator()) - still) * SIZE / 2


def test_pixels_move_as_far_as_the_source_says(moves: Tensor) -> None:
    inside = moves[:, 16:-16, 16:-16]
    # The variance of uniform numbers in -1 to 1 is a third; a Gaussian leaves 1 / (4 pi sigma^2) of it in two dims.
    expected = ALPHA * (1 / 3 / (4 * torch.pi * SIGMA**2)) ** 0.5
    assert inside.std().item() == pytest.approx(expected, rel=0.05)
    assert inside.abs().mean().item() == pytest.approx(0.13 * ALPHA / SIGMA, rel=0.05)
    assert inside.mean().item() == pytest.approx(0, abs=0.1)


def test_neighbours_move_alike_and_distant_pixels_do_not(moves: Tensor) -> None:
    inside = moves[:, 16:-16, 16:-16]

    def correlation(distance: int) -> float:
        one, other = inside[:, :-distance].flatten(), inside[:, distance:].flatten()
        return torch.corrcoef(torch.stack([one, other]))[0, 1].item()

    assert correlation(1) > 0.95
    assert abs(correlation(20)) < 0.1
    along_both = torch.corrcoef(inside.reshape(-1, 2).T)[0, 1].item()
    assert abs(along_both) < 0.1


def test_an_image_of_another_shape_is_moved_by_as_many_pixels() -> None:
    batch = torch.zeros(300, 1, 64, 32)
    still = Affine(0, 0, 0).grid(batch, generator())
    moves = (Elastic(ALPHA, SIGMA, 0, 0, 0).grid(batch, generator()) - still) * torch.tensor([32, 64]) / 2
    across, down = moves[:, 24:40, 12:20].std(dim=(0, 1, 2))
    assert across.item() == pytest.approx(down.item(), rel=0.1)


def test_without_strength_it_is_the_affine_map_alone() -> None:
    batch = torch.rand(8, 1, 28, 28, generator=generator(1))
    assert torch.equal(Elastic(0, SIGMA, 0, 0, 0)(batch, generator()), Affine(0, 0, 0)(batch, generator()))


@pytest.mark.parametrize(("alpha", "sigma"), [(-1, 4), (34, 0)])
def test_impossible_settings_are_refused(alpha: float, sigma: float) -> None:
    with pytest.raises(ValueError, match="alpha must be at least 0 and sigma more than 0"):
        Elastic(alpha, sigma)
