"""Whatever people have as pictures, as the array a network takes."""

import io
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.files.imaging import Header, read_header, read_image
from cnnlab.errors import UserError

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


@pytest.mark.parametrize("highest", [200, 255, 256, 4095, 65535])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM"])
def test_white_follows_from_the_mode_and_not_from_the_brightest_pixel(highest: int, file_format: str) -> None:
    pixels = np.linspace(0, highest, 40 * 56).reshape(40, 56).astype(np.uint16)
    content = encoded(Image.fromarray(pixels), file_format)
    assert np.abs(read_image(content, 1)[0] - pixels / 257).max() <= 0.5
    given = read_image(content, 1, full_scale=4095)[0]
    assert np.abs(given - np.minimum(pixels / 4095 * 255, 255)).max() <= 0.5


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_what_has_no_white_of_its_own_is_refused_with_the_key(dtype: Any, tmp_path: Path) -> None:
    for highest in (0.9, 1.1, 300):
        pixels = np.full((4, 4), highest, dtype)
        path = saved(tmp_path / "deep.tif", Image.fromarray(pixels))
        with pytest.raises(UserError, match=r"deep.tif holds .* numbers, which do not say what is white; .*full_scale"):
            read_image(path, 1)
        assert read_image(path, 1, full_scale=2)[0, 0, 0] == round(min(127.5 * float(pixels[0, 0]), 255))
        assert read_header(path).num_channels == 1
    saved(tmp_path / "deep.tif", Image.fromarray(np.full((4, 4), np.nan, np.float32)))
    with pytest.raises(UserError, match=r"deep.tif cannot be read as an image \(it has pixels that are NaN"):
        read_image(tmp_path / "deep.tif", 1, full_scale=1)


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


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)  # type: ignore[arg-type]
    return file.getvalue()


def test_a_member_of_a_zip_archive_is_read_without_a_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", encoded(Image.fromarray(GRADIENT), "PNG"))
        content = archive.read("1.png")
    assert np.array_equal(read_image(content, 1)[0], GRADIENT)
    assert read_header(content) == Header(40, 56, 1)


@pytest.mark.parametrize("read", [lambda *given: read_image(given[0], 1, name=given[1]), read_header])
def test_bytes_are_refused_by_the_name_they_are_given(read: Callable[..., object]) -> None:
    whole = encoded(Image.fromarray(GRADIENT), "PNG")
    for content, reason in ((b"", "it is empty"), (b"hello", "no image that Pillow knows"), (whole[:20], ".")):
        with pytest.raises(UserError, match=rf"^a.zip: 1.png cannot be read as an image \(.*{reason}"):
            read(content, "a.zip: 1.png")
    with pytest.raises(UserError, match="^the picture cannot be read as an image"):
        read_image(b"", 1)


MODES = {
    "RGB": Image.fromarray(GRADIENT).convert("RGB"),
    "1": Image.fromarray(GRADIENT).point(lambda value: 255 * (value > 127), mode="1"),
    "P": Image.fromarray(GRADIENT).quantize(256),
    "I;16": Image.fromarray(GRADIENT.astype(np.uint16) * 257),
    "I": Image.fromarray(GRADIENT.astype(np.int32) * 257),
}


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [(mode, kind) for mode in MODES for kind in ("PNG", "TIFF") if (mode, kind) != ("I", "PNG")],
)
def test_modes_of_pillow_give_the_same_grey(mode: str, file_format: str) -> None:
    full_scale = 65535 if mode == "I" else None
    found = read_image(encoded(MODES[mode], file_format), 1, full_scale=full_scale)[0].astype(int)
    expected = 255 * (GRADIENT > 127) if mode == "1" else GRADIENT
    assert np.abs(found - expected).max() <= 2


@pytest.mark.parametrize(("mode", "file_format"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF")])
def test_half_transparent_black_is_half_grey_and_clear_is_white(mode: str, file_format: str) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 128), (0, 0, 4, 8))
    options = {"lossless": True} if file_format == "WEBP" else {}
    found = read_image(encoded(image.convert(mode), file_format, **options), 1)[0]
    assert np.abs(found[:, :4].astype(int) - 127).max() <= 1
    assert (found[:, 4:] == 255).all()


def test_a_palette_may_have_a_clear_colour() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([10, 10, 10, 0, 0, 0])
    image.putpixel((0, 0), 0)
    for file_format in ("PNG", "GIF"):
        clear = read_image(encoded(image, file_format, transparency=1), 1)[0]
        assert (clear[0, 0], clear[3, 3]) == (10, 255)
        assert read_image(encoded(image, file_format), 1)[0, 3, 3] == 0


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("L", (4, 4), level) for level in (50, 200)]
    for file_format in ("GIF", "TIFF", "PNG"):
        content = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])
        assert (read_image(content, 1) == 50).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_way_to_hold_a_camera(orientation: int) -> None:
    """Encoded by what undoes it: orientation 6 is shown turned clockwise, so it is stored turned back."""
    stored = {
        1: GRADIENT,
        2: GRADIENT[:, ::-1],
        3: GRADIENT[::-1, ::-1],
        4: GRADIENT[::-1],
        5: GRADIENT.T,
        6: np.rot90(GRADIENT),
        7: GRADIENT[::-1, ::-1].T,
        8: np.rot90(GRADIENT, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(np.ascontiguousarray(stored)), "JPEG", quality=95, exif=exif)
    assert np.abs(read_image(content, 1)[0].astype(int) - GRADIENT).max() <= 6
    assert read_header(content) == Header(40, 56, 1)


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


@pytest.mark.parametrize("size", [(120, 100), (300, 300)])  # Pillow warns above its limit, and stops above twice that
def test_a_decompression_bomb_is_refused(
    size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "bomb.png", Image.new("L", size))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(UserError, match=r"bomb.png cannot be read as an image \(Image size .* exceeds limit"):
        read_image(path, 1)
    with pytest.raises(UserError, match="exceeds limit"):
        read_header(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", size[0] * size[1])
    assert read_image(path, 1).shape == (1, *size[::-1])


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_no_warning_reaches_the_terminal(tmp_path: Path) -> None:
    """In a process of its own, with the filters for warnings that a user has."""
    for name, side in (("warned_of", 10_000), ("stopped", 60_000)):
        (tmp_path / f"{name}.png").write_bytes(png_that_claims(side, side))
    lzw = encoded(Image.fromarray(GRADIENT), "TIFF", compression="tiff_lzw")
    (tmp_path / "damaged.tiff").write_bytes(lzw[: len(lzw) // 2])
    program = (
        "import pathlib\nfrom cnnlab.data.files.imaging import read_image, UserError\n"
        f"for path in sorted(pathlib.Path({str(tmp_path)!r}).iterdir()):\n"
        "    try: read_image(path, 1)\n    except UserError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    damaged, stopped, warned_of = done.stdout.splitlines()
    assert "damaged.tiff cannot be read as an image" in damaged
    assert "3600000000 pixels) exceeds limit" in stopped
    assert "100000000 pixels) exceeds limit" in warned_of
