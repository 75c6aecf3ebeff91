"""The careful loop as a program of its own that imports nothing but torch and NumPy, to compare its memory.

python careful_process.py <folder with inputs.npy and labels.npy> <number to train on> <steps> <batch size>
"""

import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def main() -> None:
    """Train TinyVGG for so many steps on the first samples, and validate on the others."""
    folder = sys.argv[1]
    num_training, steps, batch_size = map(int, sys.argv[2:])
    inputs = torch.from_numpy(np.load(f"{folder}/inputs.npy"))
    labels = torch.from_numpy(np.load(f"{folder}/labels.npy"))
    mean, std = 255 * 0.13, 255 * 0.31
    model = _tinyvgg(inputs.shape[1:], int(labels.max()) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    for indices in torch.split(torch.randperm(num_training), batch_size)[:steps]:
        loss = functional.cross_entropy(model((inputs[indices].float() - mean) / std), labels[indices])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        for indices in torch.split(torch.arange(num_training, len(labels)), 500):
            model((inputs[indices].float() - mean) / std).argmax(dim=1)


def _tinyvgg(shape: torch.Size, num_classes: int, units: int = 10) -> nn.Module:
    layers: list[nn.Module] = []
    for in_channels in (shape[0], units):
        for channels in (in_channels, units):
            layers += [nn.Conv2d(channels, units, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(units * (shape[1] // 4) * (shape[2] // 4), num_classes))


if __name__ == "__main__":
    main()
