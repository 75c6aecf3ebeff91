"""The two networks that every tool trains, in plain PyTorch; train_keras.py has them in Keras's own layers."""

from torch import Tensor, nn


def tinyvgg(hidden_units: int = 10) -> nn.Sequential:
    """Twice [conv, ReLU, conv, ReLU, pool], then a linear layer: 7,740 parameters with 10 hidden units."""

    def block(channels: int) -> list[nn.Module]:
        return [
            nn.Conv2d(channels, hidden_units, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden_units, hidden_units, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]

    return nn.Sequential(*block(1), *block(hidden_units), nn.Flatten(), nn.Linear(hidden_units * 7 * 7, 10))


def compact_cnn() -> nn.Sequential:
    """The network of experiment=mnist_cnn: 24,658 parameters."""
    return nn.Sequential(
        *[nn.Conv2d(1, 8, kernel_size=5, padding=2, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(8), nn.ReLU()],
        *[nn.Conv2d(8, 24, kernel_size=3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(24), nn.ReLU()],
        *[nn.Conv2d(24, 32, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()],
        *[nn.Flatten(), nn.Linear(32 * 7 * 7, 10)],
    )


def num_correct(logits: Tensor, labels: Tensor) -> int:
    """Return how many labels the largest logits name."""
    return int((logits.argmax(dim=1) == labels).sum())
