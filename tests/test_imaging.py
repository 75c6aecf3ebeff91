"""Whatever people have as pictures, as the array a network takes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.errors import UserError
from cnnlab.imaging import Header, read_header, read_image

GRADIENT = np.tile(np.linspace(0, 255, 56, dtype=np.uint8), (40, 1))


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "gif", "webp"])
def test_formats_without_loss_give_the_pixels(ending: str, tmp_path: Path) -> None:
    options = {"lossless": True} if ending == "webp" else {}
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(GRADIENT), **options)
    array = read_image(path, 1)
    assert (array.shape, array.dtype) == ((1, 40, 56), np.uint8)
    assert np.array_equal(array[0], GRADIENT)
    assert np.array_equal(read_image(path, 3), np.stack([GRADIENT] * 3))


def test_colour_is_kept_or_turned_to_grey(tmp_path: Path) -> None:
    path = saved(tmp_path / "red.png", Image.new("RGB", (5, 4), (200, 0, 0)))
    assert read_image(path, 3)[:, 0, 0].tolist() == [200, 0, 0]
    assert read_image(path, 1)[0, 0, 0] == 60  # ITU-R 601-2: 0.299 of red
    assert read_header(path) == Header(4, 5, 3)


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    path = saved(tmp_path / "deep.png", Image.fromarray(GRADIENT.astype(np.uint16) * 257))
    assert read_header(path).num_channels == 1
    assert np.array_equal(read_image(path, 1)[0], GRADIENT)


def test_transparent_is_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((0, 0), (10, 20, 30, 255))
    path = saved(tmp_path / "logo.png", image)
    assert read_image(path, 3)[:, 0, 0].tolist() == [10, 20, 30]
    assert (read_image(path, 3)[:, 1:, 1:] == 255).all()
    palette = saved(tmp_path / "logo.gif", image)
    assert (read_image(palette, 1)[:, 1:, 1:] == 255).all()


def test_cmyk_and_palettes(tmp_path: Path) -> None:
    red = Image.new("RGB", (16, 16), (255, 0, 0))
    for path in (
        saved(tmp_path / "print.jpg", red.convert("CMYK")),
        saved(tmp_path / "palette.png", red.convert("P")),
    ):
        first = read_image(path, 3)[:, 3, 3].astype(int)
        assert first[0] > 240
        assert first[1:].max() < 15


def test_a_phone_held_sideways_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera's left side is the picture's top
    path = saved(tmp_path / "photo.jpg", Image.fromarray(GRADIENT), exif=exif, quality=95)
    assert read_header(path) == Header(56, 40, 1)
    upright = read_image(path, 1)[0].astype(int)
    assert upright.shape == (56, 40)
    assert np.abs(upright - np.rot90(GRADIENT, -1)).max() <= 6


def test_resizing_smooths(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (64, 32))
    path = saved(tmp_path / "stripes.png", Image.fromarray(stripes))
    small = read_image(path, 1, (16, 8))[0]
    assert small.shape == (16, 8)
    assert abs(small.astype(int) - 127).max() < 12
    photo = saved(tmp_path / "stripes.jpg", Image.fromarray(stripes), quality=95)
    assert abs(read_image(photo, 1, (16, 8))[0].astype(int) - 127).max() < 12


def test_what_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("hello")
    whole = saved(tmp_path / "whole.jpg", Image.fromarray(GRADIENT)).read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    png = saved(tmp_path / "whole.png", Image.fromarray(GRADIENT)).read_bytes()
    (tmp_path / "half.png").write_bytes(png[: len(png) // 2])
    for name, reason in {
        "empty.png": "it is empty",
        "text.jpg": "no image that Pillow knows",
        "half.jpg": "[Tt]runcated",
        "half.png": "",
        "nowhere.png": "No such file",
    }.items():
        with pytest.raises(UserError, match=rf"{name} cannot be read as an image \(.*{reason}") as caught:
            read_image(tmp_path / name, 1)
        assert "\n" not in str(caught.value)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "bomb.png", Image.new("L", (300, 300)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(UserError, match=r"bomb.png cannot be read as an image \(Image size .* exceeds limit"):
        read_image(path, 1)
