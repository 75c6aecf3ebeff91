"""Fashion-MNIST (Xiao, Rasul & Vollgraf, 2017)."""

from torchvision import datasets

from cnnlab.data.idx_datamodule import IdxDataModule


class FashionMNIST(IdxDataModule):
    """Ten kinds of clothes: 55,000 training, 5,000 validation and 10,000 test images, 1x28x28."""

    dataset_name = "fashion_mnist"
    source = datasets.FashionMNIST

    def names_of_classes(self) -> tuple[str, ...]:
        return tuple(self.source.classes)
