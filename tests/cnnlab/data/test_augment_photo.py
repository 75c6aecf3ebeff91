"""augment=photo and its relatives change each image by its own amounts, and labels as images."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from cnnlab.data.augment_photo import Photo
from cnnlab.data.image_folder import ImageFolder
from cnnlab.data.mixing import mixed
from cnnlab.data.npz import Npz
from cnnlab.data.randaugment import randaugment
from cnnlab.errors import UserError
from conftest import Finished

N = 400


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(num_samples: int = N, channels: int = 3, side: int = 16) -> Tensor:
    """The same random image many times over."""
    one = torch.randint(0, 256, (1, channels, side, side), dtype=torch.uint8, generator=generator(7))
    return one.repeat(num_samples, 1, 1, 1)


@pytest.mark.parametrize(("name", "dim"), [("flip", 3), ("vertical_flip", 2)])
def test_flips_are_drawn_for_each_image(name: str, dim: int) -> None:
    batch = noise()
    flipped = Photo(**{name: 0.3})(batch, generator())  # type: ignore[arg-type]
    is_flipped = [torch.equal(one, batch[0].flip(dim - 1)) for one in flipped]
    assert all(fits or torch.equal(one, batch[0]) for fits, one in zip(is_flipped, flipped, strict=True))
    assert 0.2 < np.mean(is_flipped) < 0.4
    assert flipped.dtype == torch.uint8


def test_crops_show_parts_of_the_stated_size_without_a_dark_edge() -> None:
    ramp = torch.arange(64.0).repeat(64, 1)
    batch = torch.stack([ramp, ramp.T, torch.full((64, 64), 255.0)]).repeat(N, 1, 1, 1)
    parts = Photo(crop=0.25)(batch, generator())
    widths, heights = (
        (parts[:, 0, 0, -1] - parts[:, 0, 0, 0] + 1) / 64,
        (parts[:, 1, -1, 0] - parts[:, 1, 0, 0] + 1) / 64,
    )
    areas = widths * heights
    assert 0.22 < areas.min() < 0.3
    assert 0.9 < areas.max() <= 1.01
    assert parts[:, 2].min() == pytest.approx(255, abs=1e-3)
    corners = parts[:, :2, 0, 0]
    assert corners.std(dim=0).min() > 4  # not always the same place


def test_colours_change_by_the_stated_factors() -> None:
    batch = torch.full((N, 1, 8, 8), 100, dtype=torch.uint8)
    changed = Photo(color=0.3)(batch, generator())[:, 0, 0, 0]
    assert 69.9 < changed.min() < 75
    assert 125 < changed.max() < 130.1
    reds = torch.zeros(N, 3, 4, 4, dtype=torch.uint8)
    reds[:, 0] = 200
    spread = Photo(color=0.5)(reds, generator()).amax(dim=1) - Photo(color=0.5)(reds, generator()).amin(dim=1)
    assert spread[:, 0, 0].std() > 20  # the saturation


def test_erasing_covers_a_rectangle_with_the_mean_colour() -> None:
    batch = noise(side=32)
    covered = (Photo(erasing=0.5)(batch, generator()) != batch).any(dim=1)
    shares = covered.float().mean(dim=(1, 2))
    assert 0.4 < (shares > 0).float().mean() < 0.6
    assert shares.max() < 0.36
    one = Photo(erasing=1.0)(batch[:1], generator(3))
    mean = batch[0].float().mean(dim=(1, 2)).to(torch.uint8)
    assert (one[0] == mean[:, None, None]).all(dim=0).float().mean() > 0.02


def test_randaugment_gives_each_image_what_torchvision_gives_a_single_one() -> None:
    batch = noise(600, side=24)
    changed = randaugment(batch, 1, 9 / 30, generator())
    ours = {one.numpy().tobytes() for one in changed}
    torch.manual_seed(0)
    single = v2.RandAugment(num_ops=1, interpolation=v2.InterpolationMode.BILINEAR)
    theirs = {single(batch[0]).numpy().tobytes() for _ in range(600)}
    assert len(ours) >= 20
    assert len(ours & theirs) >= 0.8 * len(theirs)


def test_mixtures_have_labels_in_the_shares_of_their_images() -> None:
    values = torch.tensor([0, 100, 200], dtype=torch.uint8).repeat(N // 4)
    batch, labels = values.reshape(-1, 1, 1, 1).expand(-1, 1, 16, 16), torch.arange(3).repeat(N // 4)
    for mixup, cutmix in ((0.4, 0.0), (0.0, 1.0), (0.4, 1.0)):
        mixture = mixed(batch, mixup, cutmix, generator())
        targets = mixture.labels(labels, 3)
        assert targets.sum(dim=1) == pytest.approx(torch.ones(len(batch)), abs=1e-5)
        brightness = mixture.inputs.mean(dim=(1, 2, 3))
        assert brightness == pytest.approx(targets @ torch.tensor([0.0, 100.0, 200.0]), abs=0.01)
        is_uniform = (mixture.inputs.amax(dim=(1, 2, 3)) - mixture.inputs.amin(dim=(1, 2, 3))) < 1e-3
        expected = 1.0 if not cutmix else 0.0 if not mixup else 0.5
        assert float(is_uniform.float().mean()) == pytest.approx(expected, abs=0.12)
        assert targets.amax(dim=1).unique().numel() > 20  # each mixture has its own shares


def test_arguments_and_data_that_do_not_fit_are_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for settings in ({"flip": 2}, {"crop": 0}, {"magnitude": 31}, {"mixup": -1}, {"randaugment": -1}):
        with pytest.raises(UserError, match=f"{next(iter(settings))} must"):
            Photo(**settings)  # type: ignore[arg-type]
    y = np.arange(30) % 3
    for name, shape, settings, message in (
        ("signals", (30, 1, 40), {"flip": 0.5}, "augment: Photo is for data of the kind image, got series"),
        (
            "floats",
            (30, 1, 12, 12),
            {"color": 0.5},
            "augment.color is for grey or RGB .* uint8, got float32 of 1x12x12",
        ),
    ):
        x = np.random.default_rng(0).random(shape, dtype=np.float32)
        np.savez(tmp_path / f"{name}.npz", x_train=x, y_train=y, x_test=x, y_test=y)
        with pytest.raises(UserError, match=message):
            Npz(str(tmp_path / f"{name}.npz"), batch_size=2, augment=Photo(**settings)).setup()  # type: ignore[arg-type]


def colours(folder: Path, number: int = 50) -> Path:
    """Two classes, red and green images of several sizes with a bright spot."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("green", "red")):
        (folder / name).mkdir(parents=True)
        for i in range(number):
            pixels = rng.integers(0, 90, (24 + i % 5, 36, 3), dtype=np.uint8)
            pixels[..., 1 - label] += 100
            pixels[2:6, 3:9] = 250
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize("in_memory", [True, False])
def test_every_change_in_memory_and_read_by_workers(tmp_path: Path, in_memory: bool) -> None:
    root = colours(tmp_path / "colours", 20)

    def epoch(number: int) -> list[Tensor]:
        augment = Photo(1, 9, 0.5, 0.5, 0.5, 0.3, 0.3, 0.4, 1.0)
        settings = {"image_size": 20, "resize": "crop", "batch_size": 8, "num_workers": 0}
        data = ImageFolder(str(root), in_memory=in_memory, augment=augment, **settings)  # type: ignore[arg-type]
        data.setup()
        loader = data.train_dataloader()
        assert loader.sampler is not None
        loader.sampler.set_epoch(number)
        return [tensor for batch in loader for tensor in batch]

    first = epoch(1)
    assert [tuple(tensor.shape) for tensor in first[:2]] == [(8, 3, 20, 20), (8, 2)]
    assert all(map(torch.equal, first, epoch(1)))  # whatever ran before: a resumed run sees the same
    assert not torch.equal(first[0], epoch(2)[0])


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("flip", "erasing", "cutmix")]


@pytest.mark.parametrize("name", ["photo", "randaugment", "mixup", *SLOW])
def test_a_run_with_each(name: str, train: Callable[..., Finished], tmp_path: Path) -> None:
    root = colours(tmp_path / "colours")
    size = ["data.image_size=16", "data.batch_size=10", "trainer.max_epochs=2", "logger=none"]
    run = train("data=image_folder", f"data.root={root}", f"augment={name}", *size)
    assert run.status == 0, run.err
    assert run.metrics["test/accuracy"] > 0.8
    assert "resize=crop: the ends of the longer side are cut off, at most 33% of an image" in " ".join(run.out.split())


def test_mirrored_digits_are_warned_of(train: Callable[..., Finished]) -> None:
    small = ["trainer=smoke", "data.train_size=64", "logger=none", "test=false"]
    warned = train("augment=mixup", "augment.flip=0.5", "augment.erasing=0.3", *small)
    assert warned.status == 0, warned.err
    assert "WARNING: digits and letters in a mirror are other signs" in warned.out + warned.err
    assert warned.folder is not None
    assert "mirror" not in (run := train("augment=mixup", *small)).out + run.err
    assert json.loads((warned.folder / "metrics.json").read_text())["val/accuracy"] >= 0
