"""Kuzushiji-MNIST (Clanuwat et al., Deep learning for classical Japanese literature, 2018)."""

from cnnlab.data.idx_datamodule import IdxDataModule


class KMNIST(IdxDataModule):
    """Ten cursive characters: 55,000 training, 5,000 validation and 10,000 test images, 1x28x28."""

    dataset_name = "kmnist"
    source = "KMNIST"
    class_names = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
