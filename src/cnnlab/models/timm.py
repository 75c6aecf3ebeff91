"""The classifiers of timm (pytorch-image-models), more than a thousand, by name, with or without pretrained weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from cnnlab.blocks.library_network import (
    SIZES_TO_TRY,
    SMALL_IMAGE,
    LibraryNetwork,
    Published,
    check_images,
    is_file,
)
from cnnlab.errors import did_you_mean


class Timm(LibraryNetwork):
    """A classifier of timm for any number of channels: (N, C, H, W) to logits (N, num_classes).

    Images below 64 pixels, and those whose size a network cannot take, are enlarged to 64, 128 or 224 pixels or to the
    size that the network was made for, the first that fits.

    The weights themselves are not read here but when a training begins, see cnnlab.pretrained.

    Args:
        name: in timm.list_models() or timm.list_pretrained(), like resnet18 or resnet18.a1_in1k.
        weights: DEFAULT for those that timm publishes under the name, the path of a file with a state dict
            (.safetensors, .pth), or of a run's checkpoint (.ckpt); None: random.

    Raises:
        ValueError: for an unknown name, with the nearest one, data that are not images, or without timm.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        name: str = "resnet18",
        weights: str | None = None,
    ) -> None:
        super().__init__()
        try:
            import timm
        except ModuleNotFoundError as error:
            raise ValueError('model=timm needs the package timm: pip install -e ".[timm]"') from error
        check_images("timm", input_shape)
        if not timm.is_model(name):
            raise ValueError(f"timm has no classifier {name!r}{did_you_mean(name, timm.list_models())}")
        if weights is not None and weights != "DEFAULT" and not is_file(weights):
            raise ValueError(
                f"weights must be DEFAULT or the path of a file (.safetensors, .pth, .ckpt), got {weights!r}"
            )
        self.name, self.weights = name, weights
        network: Any = timm.create_model(name, pretrained=False, in_chans=input_shape[0], num_classes=num_classes)
        self.known: dict[str, Any] = network.pretrained_cfg
        if weights == "DEFAULT" and not (self.known.get("hf_hub_id") or self.known.get("url")):
            near = [full for full in timm.list_pretrained() if full.partition(".")[0] == name.partition(".")[0]]
            instead = f"; there are {', '.join(near[:3])}" if near else ""
            raise ValueError(f"timm publishes no weights for {name}{instead}")
        sizes: list[int | None] = [*SIZES_TO_TRY, self.known["input_size"][-1]]
        if min(input_shape[1:]) >= SMALL_IMAGE:
            sizes.insert(0, None)
        self.settle_size(f"timm's {name}", input_shape, sizes, lambda: network)

    @property
    def published(self) -> Published | None:
        """The published weights that are asked for; None if they are a file's or random."""
        if self.weights != "DEFAULT":
            return None
        if hub := self.known.get("hf_hub_id"):
            url = f"https://huggingface.co/{hub}/resolve/main/model.safetensors"
            return Published(url, f"{hub.rpartition('/')[2]}.safetensors")
        return Published(self.known["url"], self.known["url"].rpartition("/")[2])

    @property
    def normalisation(self) -> tuple[Sequence[float], Sequence[float]]:
        """Mean and deviation of each channel of RGB images by which the published weights expect them normalised."""
        return self.known["mean"], self.known["std"]

    @staticmethod
    def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(state)
