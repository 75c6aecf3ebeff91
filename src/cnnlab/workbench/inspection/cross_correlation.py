"""The output of nn.Conv2d beside scipy's cross-correlation and convolution of the same image and kernel."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import signal
from torch import nn

from cnnlab.errors import UserError

Map = npt.NDArray[np.float32]

KERNELS: dict[str, list[list[float]]] = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "sobel_x": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "sobel_y": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "laplace": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "blur": [[1 / 9, 1 / 9, 1 / 9], [1 / 9, 1 / 9, 1 / 9], [1 / 9, 1 / 9, 1 / 9]],
    "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
    "corner": [[-1, -1, -1], [-1, 2, 2], [-1, 2, 2]],
}


@dataclass(frozen=True)
class Comparison:
    """Outputs of the same size from one image (H, W) and one kernel.

    Attributes:
        padding: zeros on each side, (rows, columns).
        torch: nn.Conv2d's.
        correlation, convolution: scipy's correlate2d and convolve2d.
        turned: convolve2d with the kernel turned by 180 degrees.
    """

    image: Map
    kernel: Map
    stride: int
    padding: tuple[int, int]
    dilation: int
    torch: Map
    correlation: Map
    convolution: Map
    turned: Map

    @property
    def is_symmetric(self) -> bool:
        """Whether the kernel equals itself turned by 180 degrees."""
        return bool(np.array_equal(self.kernel, _turned(self.kernel)))

    def differences(self) -> dict[str, float]:
        """The largest absolute difference between nn.Conv2d and each of scipy's outputs."""
        outputs = {
            "scipy correlate2d": self.correlation,
            "scipy convolve2d": self.convolution,
            "scipy convolve2d, kernel turned by 180 degrees": self.turned,
        }
        return {name: float(abs(self.torch - output).max()) for name, output in outputs.items()}

    @property
    def expected_shape(self) -> tuple[int, ...]:
        """The output's height and width by the formula of nn.Conv2d's documentation."""
        sides = zip(self.image.shape, self.kernel.shape, self.padding, strict=True)
        return tuple((n + 2 * pad - self.dilation * (k - 1) - 1) // self.stride + 1 for n, k, pad in sides)

    def size_formulas(self) -> list[str]:
        """That formula with the numbers put in, for the height and for the width."""
        sides = zip(self.image.shape, self.kernel.shape, self.padding, self.expected_shape, strict=True)
        return [
            f"floor(({n} + 2*{pad} - {self.dilation}*({k} - 1) - 1) / {self.stride}) + 1 = {size}"
            for n, k, pad, size in sides
        ]


def compare(image: Map, kernel: Map, stride: int = 1, padding: int | str = 0, dilation: int = 1) -> Comparison:
    """Compute nn.Conv2d, cross-correlation and convolution of one image.

    Args:
        image: (H, W).
        kernel: (kh, kw).
        padding: zeros on each side; "same" keeps the size, for odd kernels and stride 1; "valid" is 0.

    Raises:
        UserError: if the kernel does not fit into the padded image, or for settings that nn.Conv2d refuses.
    """
    for name, value in {"stride": stride, "dilation": dilation}.items():
        if value < 1:
            raise UserError(f"{name} must be at least 1, got {value}")
    rows, columns = _padding(kernel, stride, padding, dilation)
    for axis, size, k, pad in zip(("height", "width"), image.shape, kernel.shape, (rows, columns), strict=True):
        if dilation * (k - 1) + 1 > size + 2 * pad:
            raise UserError(
                f"the kernel does not fit: its {axis} is {dilation}*({k} - 1) + 1 = {dilation * (k - 1) + 1}, the "
                f"image's {size} + 2*{pad} = {size + 2 * pad}; use a smaller kernel or dilation, or more padding"
            )
    layer = nn.Conv2d(1, 1, kernel.shape, stride, (rows, columns), dilation, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(kernel))
        output: Map = layer(torch.from_numpy(image)[None, None])[0, 0].numpy()
    padded = np.pad(image, ((rows, rows), (columns, columns)))
    spread = np.zeros([dilation * (k - 1) + 1 for k in kernel.shape], np.float32)  # zeros between the numbers
    spread[::dilation, ::dilation] = kernel
    return Comparison(
        image,
        kernel,
        stride,
        (rows, columns),
        dilation,
        torch=output,
        correlation=signal.correlate2d(padded, spread, mode="valid")[::stride, ::stride],
        convolution=signal.convolve2d(padded, spread, mode="valid")[::stride, ::stride],
        turned=signal.convolve2d(padded, _turned(spread), mode="valid")[::stride, ::stride],
    )


def _turned(kernel: Map) -> Map:
    return kernel[::-1, ::-1]


def _padding(kernel: Map, stride: int, padding: int | str, dilation: int) -> tuple[int, int]:
    if padding == "same":
        if stride > 1:
            raise UserError(f"padding=same needs stride=1, got stride={stride}; give the padding as a number")
        totals = [dilation * (k - 1) for k in kernel.shape]
        if any(total % 2 for total in totals):
            raise UserError(f"padding=same needs a kernel with odd sides, got {'x'.join(map(str, kernel.shape))}")
        rows, columns = (total // 2 for total in totals)
        return rows, columns
    if padding == "valid":
        return 0, 0
    if not isinstance(padding, int) or padding < 0:
        raise UserError(f"padding must be same, valid or an int of at least 0, got {padding!r}")
    return padding, padding
