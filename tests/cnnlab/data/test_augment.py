"""Augmentation of whole batches: its own draw for every sample, zeros outside, any number of spatial dims."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy import ndimage
from torch import Generator, Tensor

from cnnlab.data.augment import Affine, Augmentation, Shift, Unchanged, augmented

CONF = Path(__file__).parents[3] / "conf/augment"
SHAPES = [(2, 17), (2, 9, 14), (2, 5, 6, 8)]


def generator(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def same_sample(num_samples: int, shape: tuple[int, ...]) -> Tensor:
    """(num_samples, *shape), every sample the same, every pixel another positive value."""
    values = torch.randperm(int(np.prod(shape)), generator=generator()).reshape(shape) + 1.0
    return values.expand(num_samples, *shape)


def moved(sample: Tensor, steps: tuple[int, ...]) -> Tensor:
    """Move (C, *spatial) by whole pixels and fill with zeros."""
    result = torch.zeros_like(sample)
    source = [slice(max(0, -step), min(size, size - step)) for step, size in zip(steps, sample.shape[1:], strict=True)]
    target = [slice(max(0, step), min(size, size + step)) for step, size in zip(steps, sample.shape[1:], strict=True)]
    result[(slice(None), *target)] = sample[(slice(None), *source)]
    return result


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_config_keeps_the_shape_and_repeats_itself(path: Path, shape: tuple[int, ...]) -> None:
    augment: Augmentation = instantiate(OmegaConf.load(path))
    kinds = getattr(augment, "kinds", ())
    if kinds == ("image",) and len(shape) != 3:
        pytest.skip("made for images alone")
    batch = same_sample(16, shape if kinds != ("image",) else (1, *shape[1:])).remainder(256).byte()
    if path.stem in ("mixup", "cutmix"):
        batch[::2] = batch[::2].flip(2)  # a mixture of two equal samples would be the same again
    before, labels = batch.clone(), torch.arange(16) % 3
    first, targets = augmented(augment, batch, labels, generator(1), num_classes=3)
    assert first.shape == batch.shape
    assert torch.equal(augmented(augment, batch, labels, generator(1), num_classes=3)[0], first)
    assert torch.equal(batch, before)
    assert targets.shape == ((16, 3) if path.stem in ("mixup", "cutmix") else (16,))
    if path.stem != "none":
        assert not torch.equal(augmented(augment, batch, labels, generator(2), num_classes=3)[0], first)
        assert len({sample.numpy().tobytes() for sample in first}) > 1


def test_none_changes_nothing() -> None:
    batch = same_sample(4, (1, 5, 5))
    assert Unchanged()(batch, generator()) is batch


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("max_pixels", [1, 2])
def test_shift_moves_by_whole_pixels_within_the_limit_and_fills_with_zeros(
    shape: tuple[int, ...], max_pixels: int
) -> None:
    batch = same_sample(600, shape)
    steps = product(range(-max_pixels, max_pixels + 1), repeat=len(shape) - 1)
    allowed = {moved(batch[0], step).numpy().tobytes(): step for step in steps}
    found = [allowed[sample.contiguous().numpy().tobytes()] for sample in Shift(max_pixels)(batch, generator())]
    for axis in range(len(shape) - 1):
        counts = [[step[axis] for step in found].count(pixels) for pixels in range(-max_pixels, max_pixels + 1)]
        assert min(counts) > 0.7 * 600 / len(counts)  # uniform
    assert len(set(found)) > 0.9 * min(len(allowed), 150)  # the axes move independently


def test_shift_keeps_whole_numbers_and_their_type() -> None:
    assert Shift(1)(torch.ones(4, 1, 5, 5, dtype=torch.uint8), generator()).dtype == torch.uint8


def test_shift_by_zero_changes_nothing() -> None:
    batch = same_sample(4, (1, 5, 6))
    assert torch.equal(Shift(0)(batch, generator()), batch)


def test_shift_may_move_everything_out() -> None:
    assert Shift(9)(torch.ones(64, 1, 3, 3), generator()).sum(dim=(1, 2, 3)).min() == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_affine_with_nothing_to_do_is_the_identity(shape: tuple[int, ...]) -> None:
    batch = same_sample(3, shape)
    torch.testing.assert_close(Affine(0, 0, 0)(batch, generator()), batch, atol=1e-3, rtol=1e-4)


@pytest.fixture
def largest_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every uniform draw gives the end of its range."""
    monkeypatch.setattr(torch, "rand", lambda *size, **where: torch.ones(*size))


@pytest.mark.usefixtures("largest_draw")
@pytest.mark.parametrize("shape", [(1, 9, 15), (1, 15, 9), (2, 8, 12), (1, 1, 9, 15)])
def test_right_angle_turns_the_middle_of_a_non_square_image(shape: tuple[int, ...]) -> None:
    image = same_sample(1, shape)
    height, width = shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2

    def middle(batch: Tensor) -> Tensor:
        return batch[..., top : top + side, left : left + side]

    turned = Affine(90, 0, 0)(image, generator())
    torch.testing.assert_close(middle(turned), torch.rot90(middle(image), dims=(-2, -1)), atol=1e-2, rtol=1e-3)
    outside = torch.ones_like(turned, dtype=torch.bool)
    middle(outside)[:] = False
    assert turned[outside].abs().max() < 1e-2  # what the turned image does not cover


@pytest.mark.usefixtures("largest_draw")
@pytest.mark.parametrize("degrees", [10, 33])
def test_rotation_is_scipys(degrees: float) -> None:
    image = torch.from_numpy(np.random.default_rng(0).random((1, 1, 11, 18), dtype=np.float32))
    expected = ndimage.rotate(image[0, 0].numpy(), degrees, reshape=False, order=1, mode="grid-constant")
    np.testing.assert_allclose(Affine(degrees, 0, 0)(image, generator())[0, 0].numpy(), expected, atol=1e-4)


@pytest.mark.usefixtures("largest_draw")
@pytest.mark.parametrize("spatial", [(17,), (11, 18), (5, 6, 8)])
def test_scale_enlarges_about_the_centre(spatial: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).random(spatial, dtype=np.float32)
    centre = (np.array(spatial) - 1) / 2
    expected = ndimage.affine_transform(
        image, np.full(len(spatial), 1 / 1.25), centre - centre / 1.25, order=1, mode="grid-constant"
    )
    found = Affine(0, 0.25, 0)(torch.from_numpy(image)[None, None], generator())[0, 0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


@pytest.mark.usefixtures("largest_draw")
@pytest.mark.parametrize("spatial", [(16,), (8, 12), (4, 8, 12)])
def test_translation_is_a_fraction_of_each_side(spatial: tuple[int, ...]) -> None:
    image = same_sample(1, (2, *spatial))
    expected = moved(image[0], tuple(-size // 4 for size in spatial))
    torch.testing.assert_close(Affine(0, 0, 0.25)(image, generator())[0], expected, atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize("spatial", [(15, 24), (13, 16, 24)])
def test_what_is_round_stays_round_and_where_it_is_when_turned(spatial: tuple[int, ...]) -> None:
    axes = torch.meshgrid(*[torch.arange(size) - (size - 1) / 2 for size in spatial], indexing="ij")
    ball = torch.exp(-torch.stack(axes).square().sum(0) / 18).expand(20, 1, *spatial)
    assert (Affine(180, 0, 0)(ball, generator()) - ball).abs().max() < 0.1  # linear interpolation lowers the top


def matrices_of(augment: Augmentation, num_samples: int) -> Tensor:
    """(N, 2, 3) maps from output to input coordinates, read off two images that hold their pixels' x and y."""
    middles = (torch.arange(28) + 0.5) / 14 - 1
    coordinates = torch.stack(torch.meshgrid(middles, middles, indexing="xy"))
    moved = augment(coordinates.expand(num_samples, 2, 28, 28), generator())[:, :, 13:15, 13:15]
    along_x, along_y = moved[..., 0, 1] - moved[..., 0, 0], moved[..., 1, 0] - moved[..., 0, 0]
    return torch.stack([14 * along_x, 14 * along_y, moved.mean((2, 3))], dim=2)


@pytest.mark.parametrize(
    ("limits", "measure"),
    [
        (
            {"degrees": 20, "scale": 0, "translate": 0},
            lambda matrix: torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]) * 57.29578,
        ),
        ({"degrees": 0, "scale": 0.2, "translate": 0}, lambda matrix: 1 / matrix[:, 0, 0] - 1),
        ({"degrees": 0, "scale": 0, "translate": 0.1}, lambda matrix: matrix[:, 0, 2] / 2),
        ({"degrees": 0, "scale": 0, "translate": 0.1}, lambda matrix: matrix[:, 1, 2] / 2),
    ],
    ids=["degrees", "scale", "translate x", "translate y"],
)
def test_draws_fill_their_range_evenly(limits: dict[str, float], measure: Callable[[Tensor], Tensor]) -> None:
    limit = max(limits.values())
    draws = measure(matrices_of(Affine(**limits), 2000)) / limit
    assert draws.abs().max() <= 1 + 1e-5
    assert draws.abs().mean() == pytest.approx(0.5, abs=0.03)
    assert draws.mean() == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Shift(-1), "max_pixels must not be negative, got -1"),
        (lambda: Affine(degrees=-5), "degrees must be at least 0, got -5"),
        (lambda: Affine(translate=-0.1), "translate must be at least 0, got -0.1"),
        (lambda: Affine(scale=1.0), "scale must be at least 0 and less than 1, got 1.0"),
    ],
)
def test_impossible_settings_are_refused(build: Callable[[], Augmentation], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_volumes_are_turned_about_the_middle_in_all_three_planes() -> None:
    """A ball off the middle moves on a sphere, by up to the angle in each plane, each sample in its own way."""
    side = torch.arange(17) - 8.0
    z, y, x = torch.meshgrid(side, side, side, indexing="ij")
    ball = ((z - 3) ** 2 + (y - 2) ** 2 + (x - 4) ** 2 <= 4).float()
    batch = ball.expand(64, 1, 17, 17, 17)
    turned = Affine(degrees=25, scale=0, translate=0)(batch, torch.Generator().manual_seed(0))[:, 0]
    mass = turned.sum(dim=(1, 2, 3))
    centres = torch.stack([(turned * axis).sum(dim=(1, 2, 3)) / mass for axis in (z, y, x)], dim=1)
    assert mass.div(ball.sum()).sub(1).abs().max() < 0.05
    assert centres.norm(dim=1).sub(29**0.5).abs().max() < 0.15
    moved = centres - torch.tensor([3.0, 2.0, 4.0])
    assert (moved.std(dim=0) > 0.5).all()
    assert len(torch.unique(moved, dim=0)) == 64
