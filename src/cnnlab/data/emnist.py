"""EMNIST (Cohen, Afshar, Tapson & van Schaik, EMNIST: an extension of MNIST to handwritten letters, 2017)."""

from pathlib import Path
from typing import Any, Literal

from torchvision import datasets

from cnnlab.data.idx_datamodule import IdxDataModule
from cnnlab.data.samples import TensorSamples

_NUM_IMAGES = {"digits": (240_000, 40_000), "letters": (124_800, 20_800), "balanced": (112_800, 18_800)}


class EMNIST(IdxDataModule):
    """Handwritten characters, 1x28x28, turned upright (the files hold them transposed).

    Args:
        split: digits (10 classes), letters (26, upper and lower case as one) or balanced (47, both).
        root: folder that holds EMNIST/raw; None: $CNNLAB_DATA_DIR, else a cache folder.
        **loading: see DataModule.
    """

    preprocessing = "digits"
    source = datasets.EMNIST

    def __init__(
        self, split: Literal["digits", "letters", "balanced"] = "digits", root: str | None = None, **loading: Any
    ) -> None:
        super().__init__(root, **loading)
        self.split = split
        self.dataset_name = f"emnist-{split}"
        self.num_training, self.num_test = _NUM_IMAGES[split]

    def names_of_classes(self) -> tuple[str, ...]:
        names = datasets.EMNIST.classes_split_dict[self.split]
        return tuple(names[1:] if self.split == "letters" else names)

    def arrange(self, data: TensorSamples) -> TensorSamples:
        first_label = 1 if self.split == "letters" else 0
        return TensorSamples(data.inputs.transpose(2, 3).contiguous(), data.labels - first_label)

    def file_prefix(self, split: str) -> str:
        return f"emnist-{self.split}-{split}"

    def download_into(self, folder: Path) -> None:
        datasets.EMNIST(str(folder), split=self.split, train=True, download=True)

    def _mirrors(self) -> list[str]:
        return [datasets.EMNIST.url]
