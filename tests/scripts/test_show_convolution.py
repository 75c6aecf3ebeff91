"""`python scripts/show_convolution.py`: torch's Conv2d is scipy's cross-correlation, and not its convolution."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import fork_server
from cnnlab.errors import UserError
from cnnlab.workbench.inspection.cross_correlation import KERNELS, compare
from conftest import PROJECT, Finished

SYMMETRIC = {"identity", "laplace", "sharpen", "blur"}


@pytest.fixture
def show(command: Callable[..., Finished]) -> Callable[..., Finished]:
    """Run `python scripts/show_convolution.py <arguments>`."""
    return partial(command, "scripts/show_convolution.py")


@pytest.fixture
def seven(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.syspath_prepend(str(PROJECT / "scripts"))
    from show_convolution import read_digit

    image, name = read_digit(3500)
    assert name == "a handwritten 7"
    return image


@pytest.mark.parametrize("name", KERNELS)
def test_conv2d_is_cross_correlation(name: str, seven: np.ndarray) -> None:
    compared = compare(seven, np.array(KERNELS[name], np.float32), padding="same")
    correlation, convolution, turned = compared.differences().values()
    assert max(correlation, turned) < 5e-6
    assert compared.is_symmetric == (name in SYMMETRIC)
    assert convolution < 5e-6 if compared.is_symmetric else convolution > 1
    assert compared.torch.shape == compared.expected_shape == (28, 28)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("dilation", [1, 2])
def test_sizes_and_values_for_all_settings(stride: int, padding: int, dilation: int) -> None:
    generator = np.random.default_rng(0)
    image = generator.random((17, 23), dtype=np.float32)
    kernel = generator.random((2, 5), dtype=np.float32)
    compared = compare(image, kernel, stride, padding, dilation)
    assert compared.torch.shape == compared.expected_shape == compared.convolution.shape
    correlation, convolution, turned = compared.differences().values()
    assert max(correlation, turned) < 5e-6 < 1e-2 < convolution
    expected = nn.functional.conv2d(
        torch.from_numpy(image)[None], torch.from_numpy(kernel)[None, None], None, stride, padding, dilation
    )
    assert np.array_equal(compared.torch, expected[0].numpy())


def test_padding_same_and_valid() -> None:
    image, kernel = np.ones((9, 11), np.float32), np.ones((3, 5), np.float32)
    assert compare(image, kernel, padding="same", dilation=2).padding == (2, 4)
    assert compare(image, kernel, padding="valid").torch.shape == (7, 7)
    with pytest.raises(UserError, match="padding=same needs a kernel with odd sides, got 2x2"):
        compare(image, kernel[:2, :2], padding="same")


def test_the_default(show: Callable[..., Finished], tmp_path: Path) -> None:
    done = show()
    assert (done.status, done.err) == (0, "")
    assert "a handwritten 7, 28 x 28" in done.out
    assert "floor((28 + 2*1 - 1*(3 - 1) - 1) / 1) + 1 = 28" in done.out
    assert "nn.Conv2d's output: 28 x 28, the same" in done.out
    assert "nn.Conv2d computes cross-correlation" in done.out
    with Image.open(tmp_path / "outputs/convolution/sobel_x.png") as picture:
        assert picture.width == 1120
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["sobel_x.png"]


def test_a_symmetric_kernel(show: Callable[..., Finished]) -> None:
    done = show("kernel=blur", "index=2500")
    assert "a handwritten 5" in done.out
    assert "equals itself turned by 180 degrees" in done.out


def test_a_picture_and_numbers_of_ones_own(show: Callable[..., Finished], tmp_path: Path) -> None:
    pixels = np.zeros((20, 31, 3), np.uint8)
    pixels[5:, 7:] = 255
    Image.fromarray(pixels).save(tmp_path / "a, b=c.png")
    done = show(
        "image=a, b=c.png", "kernel=[[1,0,-1],[2,0,-2.5]]", "stride=2", "padding=0", "dilation=3", "out=pictures"
    )
    assert (done.status, done.err) == (0, "")
    assert "a, b=c.png, 20 x 31" in done.out
    assert "height: floor((20 + 2*0 - 3*(2 - 1) - 1) / 2) + 1 = 9" in done.out
    assert "width:  floor((31 + 2*0 - 3*(3 - 1) - 1) / 2) + 1 = 13" in done.out
    assert (tmp_path / "pictures/custom.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["kernel=sobelx"], "did you mean sobel_x?"),
        (["kernel=[[1,2],[3]]"], "kernel must hold rows of equally many numbers"),
        (["kernel=[1,2]"], "kernel must hold rows of equally many numbers"),
        (["kernel=[[a,b]]"], "kernel must hold rows of equally many numbers"),
        (["dilation=20"], "the kernel does not fit: its height is 20*(3 - 1) + 1 = 41, the image's 28 + 2*1 = 30"),
        (["stride=0"], "stride must be at least 1, got 0"),
        (["stride=1.5"], "stride: expected int, got 1.5"),
        (["padding=-1"], "padding must be same, valid or an int of at least 0, got -1"),
        (["padding=same", "stride=2"], "padding=same needs stride=1"),
        (["index=5000"], "index must be from 0 to 4999, got 5000"),
        (["image=nowhere.png"], "image: cannot read nowhere.png: No such file or directory"),
        (["image=file"], "is no picture that Pillow can read"),
        (["out=file/below"], "out: cannot write to file/below"),
        (["strides=2"], "unknown key strides; did you mean stride?"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str], words: str, show: Callable[..., Finished], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = show(*arguments)
    assert done.status == 1
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert words in done.err
    assert os.listdir(tmp_path) == ["file"]


def test_through_a_process_of_its_own(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-W", "error", str(PROJECT / "scripts/show_convolution.py"), "kernel=emboss"]
    done = fork_server.run(command, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "outputs/convolution/emboss.png").is_file()
