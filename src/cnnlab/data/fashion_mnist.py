"""Fashion-MNIST (Xiao, Rasul & Vollgraf, 2017)."""

from typing import ClassVar

from cnnlab.data.idx_datamodule import IdxDataModule


class FashionMNIST(IdxDataModule):
    """Ten kinds of clothes: 55,000 training, 5,000 validation and 10,000 test images, 1x28x28."""

    dataset_name = "fashion_mnist"
    source = "FashionMNIST"
    debian_package = "dataset-fashion-mnist"
    class_names = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    known_md5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    }
