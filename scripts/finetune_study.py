"""Measure what pretrained weights are worth where there are few images, and which layers should learn.

    python scripts/finetune_study.py
    python scripts/finetune_study.py --source fashion_mnist --target mnist --seeds 0-4 --results RESULTS.md

A network is trained on 5,000 images of one data set. Its weights are then the start on 300 images of another one: all
layers learn at the full rate; or all but the last learn a tenth as fast after two frozen epochs, as with
callbacks=finetune; or these stay frozen for the whole run. A fourth way starts from random weights. All four see the
same images for as many epochs, with the same settings otherwise. Prints a table of the accuracies on 2,000 test images
and writes it, with a line per run, to --out. A second call with the same --out runs only what is missing.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from cnnlab import train
from cnnlab.cli import console
from cnnlab.errors import UserError
from cnnlab.overrides import quoted
from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.json_files import read_json
from cnnlab.workbench import marked_block
from cnnlab.workbench.notation import markdown, shown_spread
from seeds import SMALL, check_earlier, seed_list

DATA = ("mnist", "fashion_mnist")
NETWORK = ["model=torchvision", "model.name=shufflenet_v2_x0_5", "logger=none"]
SOURCE = ["data.train_size=5000", "trainer.max_epochs=4", "data.val_size=1000", "test=false"]
IMAGES, EPOCHS, FROZEN_EPOCHS = 300, 10, 2
TARGET = [f"data.train_size={IMAGES}", f"trainer.max_epochs={EPOCHS}", "data.val_size=500"]
TARGET += ["trainer.check_val_every_n_epoch=5", "trainer.limit_test_batches=4"]


@console.script()
def main() -> None:
    arguments = parse_arguments()
    seeds = arguments.seeds[:1] if arguments.smoke else arguments.seeds
    small = SMALL if arguments.smoke else []
    source = arguments.out / f"{arguments.source}-pretraining"
    weights = source / "checkpoints/best.ckpt"
    commands = {source: [*NETWORK, f"data={arguments.source}", *SOURCE, *small]}
    for way, words in ways(weights).items():
        for seed in seeds:
            command = [*NETWORK, f"data={arguments.target}", *TARGET, *words, f"seed={seed}", *small]
            commands[arguments.out / f"{arguments.target}-{way}" / str(seed)] = command
    try:
        check_earlier({source: commands[source]})
        check_earlier({folder: words for folder, words in commands.items() if folder != source})
        for folder, words in tqdm(commands.items(), desc="runs", disable=not sys.stderr.isatty()):
            if not (folder / "metrics.json").is_file():
                train([*words, f"hydra.run.dir={quoted(str(folder))}"])
    except UserError as error:
        sys.exit(f"error: {error}")
    runs = pd.DataFrame([result(folder) for folder in commands if folder != source])
    table = markdown(rows(runs, arguments.source, arguments.target))
    write_atomically(arguments.out / "finetune_study.csv", runs.to_csv(index=False).encode())
    print(f"{table}\nRuns and table: {arguments.out}")
    if arguments.results:
        marked_block.write(arguments.results, "finetune study", table, append=True)
        print(f"Table written to {arguments.results}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=DATA, default="mnist", help="data of the pretraining (default mnist)")
    parser.add_argument("--target", choices=DATA, default="fashion_mnist", help="data of the few images")
    parser.add_argument("--seeds", type=seed_list, default=seed_list("0-2"), help="0-4, or 0,3,7 (default 0-2)")
    parser.add_argument("--out", type=Path, default=Path("outputs/finetune_study"), help="folder of runs and results")
    parser.add_argument("--results", type=Path, help="also put the table into this Markdown file")
    parser.add_argument("--smoke", action="store_true", help="one seed, a few batches each: does it work?")
    return parser.parse_args()


def ways(weights: Path) -> dict[str, list[str]]:
    """The overrides of each way to begin."""
    start = [f"model.weights={weights}", "callbacks=finetune"]
    return {
        "scratch": [],
        "whole": [*start, "callbacks.finetune.frozen_epochs=0", "callbacks.finetune.rate_factor=1.0"],
        "frozen": [*start, f"callbacks.finetune.frozen_epochs={EPOCHS}"],
        "finetuned": [*start, f"callbacks.finetune.frozen_epochs={FROZEN_EPOCHS}"],
    }


def result(folder: Path) -> dict[str, object]:
    metrics = read_json(folder / "metrics.json")
    return {
        "way": folder.parent.name.rpartition("-")[2],
        "seed": int(folder.name),
        "val_accuracy": metrics["val/accuracy"],
        "test_accuracy": metrics["test/accuracy"],
        "train_seconds": metrics["train_seconds"],
    }


def rows(runs: pd.DataFrame, source: str, target: str) -> list[list[str]]:
    """A header and a row for each way: mean ± sample standard deviation over the seeds."""
    names = {
        "scratch": "random weights, all layers",
        "whole": f"weights of {source}, all layers",
        "finetuned": f"weights of {source}, the last layer first, then all others a tenth as fast",
        "frozen": f"weights of {source}, the last layer only",
    }
    table = [["start and what is trained", "seeds", f"{target}, test %", "difference to random by seed", "seconds"]]
    accuracies = {way: 100 * group.set_index("seed")["test_accuracy"] for way, group in runs.groupby("way")}
    for way, name in names.items():
        values, difference = accuracies[way], accuracies[way] - accuracies["scratch"]
        seconds = runs.loc[runs["way"] == way, "train_seconds"].mean()
        gain = "" if way == "scratch" else shown_spread(difference.mean(), difference.std(), 2)
        seeds = ", ".join(map(str, values.index))
        table.append([name, seeds, shown_spread(values.mean(), values.std(), 2), gain, f"{seconds:.0f}"])
    return table


if __name__ == "__main__":
    main()
