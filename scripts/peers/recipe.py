"""What is to be trained, as the benchmark says it on the command line, and the answer that it reads."""

import argparse
import json


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, help="the folder that holds MNIST/raw")
    parser.add_argument("--network", choices=("tinyvgg", "compact_cnn"), default="tinyvgg")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--one-cycle", action="store_true", help="let the rate rise and fall instead of being constant")
    parser.add_argument("--label-smoothing", type=float, default=0.0)
    parser.add_argument("--steps", type=int, help="train so many steps instead of a whole epoch")
    parser.add_argument("--workers", type=int, default=0, help="worker processes of the DataLoader")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def answer(train_seconds: float, images: int, accuracy: float) -> None:
    """Print the last line: seconds of training without validation, images in them, accuracy on the test images."""
    print(json.dumps({"train_seconds": train_seconds, "images": images, "accuracy": accuracy}))
