"""The trial of every search: TinyVGG learns some digits for one epoch on one thread and is scored on others."""

import json
import os
import threading
import time

import torch
from networks import num_correct, tinyvgg
from torch.nn import functional
from torchvision.datasets import MNIST

# The grid that every tool searches: {name of a setting: its values}.
SPACE: dict[str, list] = json.loads(os.environ["PEERS_SPACE"])


def train(batch_size: int, hidden_units: int, lr: float) -> float:
    """Return the accuracy on 1,000 digits after learning 4,000, and note begin and end in the file PEERS_LOG."""
    note(batch_size, hidden_units, lr, event="begin")
    cpu_began = time.thread_time()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    digits = MNIST(os.environ["PEERS_DATA"], train=True)
    images, labels = digits.data[:5000, None].float() / 255, digits.targets[:5000]
    num_train = len(labels) * 4 // 5
    model = tinyvgg(hidden_units)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    for batch in torch.randperm(num_train).split(batch_size):
        loss = functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = num_correct(model(images[num_train:]), labels[num_train:]) / (len(labels) - num_train)
    note(batch_size, hidden_units, lr, event="end", accuracy=accuracy, cpu=time.thread_time() - cpu_began)
    return accuracy


def note(batch_size: int, hidden_units: int, lr: float, **more: object) -> None:
    """Add a line to the log of all processes."""
    line = json.dumps(
        {
            "point": [batch_size, hidden_units, lr],
            "time": time.time(),
            "worker": [os.getpid(), threading.get_ident()],
            **more,
        }
    )
    with open(os.environ["PEERS_LOG"], "a", encoding="utf-8") as log:
        log.write(f"{line}\n")
