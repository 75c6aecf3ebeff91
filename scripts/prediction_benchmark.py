"""Measure what a network recognises when MNIST's digits come as pictures instead of tensors.

    python scripts/prediction_benchmark.py latest
    python scripts/prediction_benchmark.py outputs/runs/<run> --images 2000 --seed 1
    python scripts/prediction_benchmark.py latest --split val      for tuning: never with the test images
    python scripts/prediction_benchmark.py latest --smoke          a few digits: does it work?

Every digit of the run's split is distorted in several ways, at random but the same for every run with one seed, saved
as a picture in memory, read back and cleaned as predict.py does, and classified by the run's network. A picture that is
refused or taken for several digits counts as wrong. "clean" are the stored tensors. Claimed is of "all together" that
it loses at most 0.5 points. The ways below it are not part of the claim. The table goes to outputs/bench/prediction.md
and .csv.

Milliseconds are those from the picture in memory to 28x28 pixels; the network's are not counted.
"""
# ruff: noqa: E402 - how threads wait must be said before torch is loaded

import argparse
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from cnnlab.speed.threads import wait_briefly

wait_briefly()  # before torch is loaded

# isort: split
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from cnnlab.cli import console
from cnnlab.data.files.imaging import read_image
from cnnlab.data.loading.normalisation import Normalise
from cnnlab.data.samples import TensorSamples
from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically
from cnnlab.saved_run import SavedModel, load_data, load_model
from cnnlab.speed.hardware import device_name
from cnnlab.workbench.notation import markdown
from cnnlab.workbench.prediction.digits.digit import extract_digits
from digit_pictures import CLAIMED, PATHS

CLAIM = 0.5
# Ways beyond the claim are tried with the first so many digits; photos of 12 megapixels take a second each to make.
NUM_BEYOND, NUM_LARGE = 1_000, 50
MOST_IMAGES = {name: NUM_BEYOND for name in PATHS if name not in CLAIMED} | {"small in a large photo": NUM_LARGE}


@console.script()
def main() -> None:
    arguments = parse_arguments()
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    saved = load_model(arguments.run)
    digits = read_digits(saved, arguments.split, arguments.images)
    table = benchmark(saved, digits, arguments.only or list(PATHS), arguments.seed)
    text = f"{note(arguments, saved, table)}\n\n{markdown([table, *table.to_numpy(dtype=object)])}"
    write_atomically(arguments.out / "prediction.csv", table.to_csv(index=False).encode())
    write_atomically(arguments.out / "prediction.md", text.encode())
    print(f"{text}\nTables: {arguments.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a run folder, or latest: the run in outputs/runs that was started last")
    parser.add_argument("--images", type=int, default=10_000, help="digits, of those there are (default 10000)")
    parser.add_argument("--split", choices=("test", "val"), default="test", help="whose digits (default test)")
    parser.add_argument("--seed", type=int, default=0, help="of the distortions (default 0)")
    parser.add_argument("--only", nargs="+", choices=PATHS, metavar="PATH", help=f"some of: {', '.join(PATHS)}")
    parser.add_argument("--out", type=Path, default=Path("outputs/bench"), help="folder of the tables")
    parser.add_argument("--smoke", action="store_true", help="20 digits")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.images = 20
    if arguments.images < 1:
        parser.error(f"--images must be at least 1, got {arguments.images}")
    return arguments


def read_digits(saved: SavedModel, split: str, num_images: int) -> TensorSamples:
    """Raise UserError for a network that was not trained on digits."""
    if saved.data["preprocessing"] != "digits":
        raise UserError(f"expected a run on mnist, whose pictures are digits, got one on {saved.data['dataset']}")
    data = load_data(saved)
    loader = data.test_dataloader() if split == "test" else data.val_dataloader()
    return loader.data.first(min(num_images, len(loader.data)))


def benchmark(saved: SavedModel, digits: TensorSamples, paths: list[str], seed: int) -> pd.DataFrame:
    """A row for the stored tensors, and one for each path."""
    classify = Classify(saved)
    clean = classify(digits.inputs) == digits.labels
    rows = [Outcome("clean", clean, clean, 0, float("nan")).row()]
    for name in paths:
        make = PATHS[name]
        num_images = min(len(digits), MOST_IMAGES.get(name, len(digits)))
        generator = np.random.default_rng([seed, list(PATHS).index(name)])
        prepared, seconds = [], 0.0
        is_refused = torch.zeros(num_images, dtype=torch.bool)
        progress = tqdm(digits.inputs[:num_images, 0].numpy(), desc=name, leave=False, disable=not sys.stderr.isatty())
        for index, pixels in enumerate(progress):
            content = make(pixels, generator)
            began = time.perf_counter()
            try:
                found, _ = extract_digits(read_image(content, 1, name=name)[0])
                prepared.append(found[0].pixels)
                is_refused[index] = len(found) > 1
            except UserError:
                prepared.append(np.zeros((28, 28), np.uint8))
                is_refused[index] = True
            seconds += time.perf_counter() - began
        inputs = torch.from_numpy(np.stack(prepared))[:, None]
        correct = (classify(inputs) == digits.labels[:num_images]) & ~is_refused
        num_refused = int(is_refused.sum())
        rows.append(Outcome(name, correct, clean[:num_images], num_refused, 1e3 * seconds / num_images).row())
    return pd.DataFrame(rows)


class Classify:
    """uint8 (N, 1, 28, 28) to the classes that the run's network takes them for, in batches."""

    def __init__(self, saved: SavedModel) -> None:
        data = saved.data
        self.model: nn.Module = saved.model
        self.normalise = Normalise(data["mean"], data["std"], data["scale"], 2, torch.device("cpu"))

    @torch.inference_mode()
    def __call__(self, inputs: Tensor) -> Tensor:
        return torch.cat([self.model(self.normalise(batch)).argmax(dim=1) for batch in inputs.split(500)])


@dataclass(frozen=True)
class Outcome:
    """What became of the pictures of a path; `clean` says which of the same digits are right as tensors."""

    path: str
    correct: Tensor
    clean: Tensor
    num_refused: int
    milliseconds: float

    def row(self) -> dict[str, object]:
        accuracy, clean = (100 * float(right.double().mean()) for right in (self.correct, self.clean))
        return {
            "path": self.path,
            "images": len(self.correct),
            "accuracy %": round(accuracy, 2),
            "points to clean": round(accuracy - clean, 2),
            "refused": self.num_refused,
            "ms per picture": round(self.milliseconds, 1),
        }


def note(arguments: argparse.Namespace, saved: SavedModel, table: pd.DataFrame) -> str:
    clean = table.iloc[0]
    text = (
        f"{saved.data['dataset']}, {clean['images']:,} {arguments.split} digits, seed {arguments.seed}, "
        f"{saved.config.model._target_.rpartition('.')[2]}, {device_name('cpu')}."
    )
    for lost in -table.loc[table["path"] == "all together", "points to clean"]:
        text += f" All together lose {lost:.2f} points; claimed are at most {CLAIM}."
    return text


if __name__ == "__main__":
    main()
