"""Elastic distortions of images: every pixel is moved by its own amount, neighbours by nearly the same."""

import torch
from torch import Generator, Tensor

from cnnlab.data.augment import Affine


class Elastic(Affine):
    """Move each pixel by a smooth random field, after the same turn, scale and move as Affine's, in one interpolation.

    For each sample and each direction numbers uniform in -1 to 1, one a pixel, are smoothed by a Gaussian and
    multiplied by alpha (Simard, Steinkraus & Platt, Best Practices for Convolutional Neural Networks Applied to Visual
    Document Analysis, 2003, section 2). In each direction a pixel moves by about 0.13 alpha / sigma.

    Args:
        alpha: the strength of the field, in pixels.
        sigma: the standard deviation of the Gaussian, in pixels; the larger, the smoother the field.
        degrees, scale, translate: see Affine.
    """

    kinds = ("image",)

    def __init__(
        self,
        alpha: float = 34.0,
        sigma: float = 4.0,
        degrees: float = 10.0,
        scale: float = 0.1,
        translate: float = 0.07,
    ) -> None:
        super().__init__(degrees, scale, translate)
        if alpha < 0 or sigma <= 0:
            raise ValueError(f"alpha must be at least 0 and sigma more than 0, got {alpha} and {sigma}")
        self.alpha, self.sigma = alpha, sigma

    def grid(self, batch: Tensor, generator: Generator) -> Tensor:
        height, width = batch.shape[2:]
        noise = torch.rand(len(batch), 2, height, width, generator=generator, device=batch.device) * 2 - 1
        rows, columns = (_blur(size, self.sigma, batch.device) for size in (height, width))
        pixels = self.alpha * (rows @ noise @ columns.T)
        sides = torch.tensor([width, height], device=batch.device)
        return super().grid(batch, generator) + 2 * pixels.permute(0, 2, 3, 1) / sides


def _blur(size: int, sigma: float, device: torch.device) -> Tensor:
    """Return the matrix (size, size) that smooths a column of pixels by a Gaussian, with zeros outside."""
    pixels = torch.arange(size, device=device, dtype=torch.float32)
    weights = torch.exp(-((pixels[:, None] - pixels[None, :]) ** 2) / (2 * sigma**2))
    reach = torch.arange(-size, size + 1, device=device)
    return weights / torch.exp(-(reach**2) / (2 * sigma**2)).sum()
