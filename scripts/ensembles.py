"""Find the recipes whose networks answer best together, by validation alone, and score that ensemble.

    python scripts/ensembles.py outputs/records/record_vgg outputs/records/record_resnet outputs/records/record_lenet5
    python scripts/ensembles.py outputs/records/record_{lenet5,vgg,resnet} --test --results RESULTS.md

Each folder holds the runs of one recipe, made by scripts/seeds.py, all on the same data. An ensemble takes one run from
each of 3 to 5 folders, all of one seed, and answers by the mean of their probabilities; ensembles of different seeds
share no network. Every set of recipes is scored on the validation samples. --test scores the set with the highest mean
accuracy, and no other, on the test samples.
"""

import argparse
import sys
from itertools import combinations
from pathlib import Path

from cnnlab.cli import console  # before torch, whose threads it sets up

# isort: split
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from cnnlab.errors import UserError
from cnnlab.saved_run import load_data, load_model
from cnnlab.workbench import marked_block
from cnnlab.workbench.evaluation.ensemble import with_others
from cnnlab.workbench.notation import markdown, shown_spread
from seeds import read_table

_SIZES = (3, 4, 5)
_BLOCK = "ensembles"


@console.script()
def main() -> None:
    arguments = parse_arguments()
    if arguments.results:
        marked_block.read(arguments.results, _BLOCK)  # before anything is computed
    seeds = shared_seeds(arguments.folders)
    first, *others = (path / seeds[0] for path in arguments.folders)
    with_others(load_model(first), [str(path) for path in others])  # that they fit together
    answers = {path: Answers(path, seeds, "val") for path in tqdm_of(arguments.folders)}
    sets = [members for size in _SIZES for members in combinations(answers, size)]
    accuracies = {members: accuracy([answers[path] for path in members]) for members in sets}
    best = max(sets, key=lambda members: (accuracies[members].mean(), -len(members)))
    print(markdown([("networks", "val %"), *((words(set_), spread(accuracies[set_])) for set_ in sets)]))
    if not arguments.test:
        print(f"best by validation: {words(best)}; --test scores it on the test samples")
        return
    of_test = accuracy([Answers(path, seeds, "test") for path in tqdm_of(best)])
    row = {
        "networks": words(best),
        "data": answers[best[0]].dataset,
        "parameters": f"{sum(answers[path].num_parameters for path in best):,}",
        "seeds": ", ".join(seeds),
        "chosen of": f"{len(sets)} set{'s' * (len(sets) > 1)}",
        "val %": spread(accuracies[best]),
        "test %": spread(of_test),
    }
    print(markdown([row, row.values()]))
    if arguments.results:
        rows = marked_block.rows(arguments.results, _BLOCK)
        same = [one for one in rows if (one["networks"], one["data"]) == (row["networks"], row["data"])]
        if any(len(one["seeds"].split(",")) > len(seeds) for one in same):
            raise UserError(f"{arguments.results} has a row of these networks with more seeds than {row['seeds']}")
        kept = [one.values() for one in rows if one not in same]
        marked_block.write(arguments.results, _BLOCK, markdown([row, row.values(), *kept]))
        print(f"Row written to {arguments.results}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="at least 3, each made by scripts/seeds.py")
    parser.add_argument("--test", action="store_true", help="score the best set by validation on the test samples")
    parser.add_argument("--results", type=Path, help="with --test: put its row into this Markdown file's table")
    arguments = parser.parse_args()
    different = {folder.resolve() for folder in arguments.folders}
    if len(different) < len(arguments.folders):
        parser.error("a folder is named twice; an ensemble takes one run from each")
    if len(different) < _SIZES[0]:
        parser.error(f"an ensemble has at least {_SIZES[0]} networks, got {len(different)} folders")
    if arguments.results and not arguments.test:
        parser.error("--results takes the row that --test makes")
    return arguments


def shared_seeds(folders: list[Path]) -> list[str]:
    """The seeds of which all folders have a run.

    Raises:
        UserError: if there are none, or a folder is not one of seeds.
    """
    found = [read_table(folder)["seed"].astype(str).tolist() for folder in folders]
    shared = [seed for seed in found[0] if all(seed in others for others in found)]
    if not shared:
        raise UserError(f"{', '.join(map(str, folders))} have no seed in common")
    return shared


class Answers:
    """What the runs of one folder answer to the samples of a split.

    Attributes:
        probabilities: (seeds, N, num_classes).
        labels: (N,).
    """

    def __init__(self, folder: Path, seeds: list[str], split: str) -> None:
        answers = []
        for seed in seeds:
            saved = load_model(folder / seed)
            datamodule = load_data(saved)
            loader = datamodule.test_dataloader() if split == "test" else datamodule.val_dataloader()
            with torch.inference_mode():
                batches = [(saved.model(inputs).softmax(dim=1), labels) for inputs, labels in loader]
            probabilities, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
            answers.append(probabilities)
        self.probabilities, self.labels = torch.stack(answers), labels
        self.dataset = str(saved.data["dataset"])
        self.num_parameters = sum(weight.numel() for weight in saved.model.parameters())


def accuracy(members: list[Answers]) -> Tensor:
    """Of each seed's ensemble, (seeds,).

    Raises:
        UserError: if they have not answered to the same samples.
    """
    if not all(torch.equal(answers.labels, members[0].labels) for answers in members):
        raise UserError("the runs do not answer to the same samples; data.val_size and data.fold must agree")
    mean = torch.stack([answers.probabilities for answers in members]).mean(dim=0)
    return (mean.argmax(dim=2) == members[0].labels).double().mean(dim=1)


def words(members: tuple[Path, ...]) -> str:
    return " + ".join(f"`{path.name}`" for path in members)


def spread(accuracies: Tensor) -> str:
    """Mean ± sample standard deviation over the seeds in percent."""
    values = pd.Series(100 * accuracies.numpy())
    return shown_spread(values.mean(), values.std(), 2)


def tqdm_of(folders: list[Path] | tuple[Path, ...]) -> tqdm:
    return tqdm(folders, desc="networks", leave=False, disable=not sys.stderr.isatty())


if __name__ == "__main__":
    main()
