"""What the networks of other libraries have in common here: they take images, and enlarge those that are too small."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.functional import interpolate

from cnnlab.blocks.shapes import output_shape

SMALL_IMAGE = 64
SIZES_TO_TRY = (64, 128, 224)


class Published(NamedTuple):
    """Pretrained weights to download.

    Attributes:
        url: their address.
        file: the name by which the file is kept.
    """

    url: str
    file: str


class LibraryNetwork(nn.Module):
    """A library's classifier for images (N, C, H, W); the logits are (N, num_classes).

    Attributes:
        network: the library's network.
        resize_to: the height and width to which the image is enlarged; None: it stays as it is.
    """

    network: nn.Module
    resize_to: int | None = None

    def settle_size(
        self, title: str, input_shape: Sequence[int], sizes: Iterable[int | None], make: Callable[[], nn.Module]
    ) -> None:
        """Set network and resize_to such that the network takes the image, with the first size that fits.

        Raises:
            ValueError: if none fits, or the data are not images.
        """
        problem: Exception | None = None
        for self.resize_to in sizes:
            self.network = make()
            try:
                output_shape(self, input_shape)
                return
            except ValueError as error:
                problem = error
        raise ValueError(f"{title} cannot take data of shape {tuple(input_shape)}: {problem}")

    def forward(self, x: Tensor) -> Tensor:
        if self.resize_to is not None:
            x = interpolate(x, size=(self.resize_to, self.resize_to), mode="bilinear", align_corners=False)
        logits: Tensor = self.network(x)
        return logits


def check_images(library: str, input_shape: Sequence[int]) -> None:
    """Raise ValueError for data that are not images."""
    if len(input_shape) != 3:
        raise ValueError(f"{library}'s classifiers take images (C, H, W), got data of shape {tuple(input_shape)}")


def is_file(weights: str) -> bool:
    """Whether this is the path of a file and not the name of published weights."""
    return any(character in weights for character in "./\\")
