"""EMNIST (Cohen, Afshar, Tapson & van Schaik, EMNIST: an extension of MNIST to handwritten letters, 2017)."""

from typing import Any, Literal

from cnnlab.data.idx_datamodule import IdxDataModule

_NUM_IMAGES = {"digits": (240_000, 40_000), "letters": (124_800, 20_800), "balanced": (112_800, 18_800)}


class EMNIST(IdxDataModule):
    """Handwritten characters, 1x28x28, turned upright (the files hold them transposed).

    Args:
        split: digits (10 classes), letters (26, upper and lower case as one) or balanced (47, both).
        root: folder that holds EMNIST/raw; None: $CNNLAB_DATA_DIR, else a cache folder.
        **loading: see DataModule.
    """

    preprocessing = "digits"
    source = "EMNIST"
    is_transposed = True

    def __init__(
        self, split: Literal["digits", "letters", "balanced"] = "digits", root: str | None = None, **loading: Any
    ) -> None:
        from torchvision import datasets  # takes long to import

        super().__init__(root, **loading)
        self.split = split
        self.dataset_name = f"emnist-{split}"
        self.file_prefixes = (f"emnist-{split}-train", f"emnist-{split}-test")
        self.num_training, self.num_test = _NUM_IMAGES[split]
        self.first_label = 1 if split == "letters" else 0
        self.class_names = tuple(datasets.EMNIST.classes_split_dict[split][self.first_label :])
        self.download_options = {"split": split}
