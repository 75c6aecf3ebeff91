"""Measure the rule of thumb about columns: shuffle the features, and a CNN loses what an MLP keeps.

    python scripts/shuffle_study.py
    python scripts/shuffle_study.py --data mnist1d --seeds 0-9 --results RESULTS.md

A CNN and an MLP of the same size within 10 % are trained on plain and on shuffled data with each seed; a seed has one
permutation, the same for both networks and all samples. Prints a table of the test accuracies and writes it, a line per
run and a picture to --out. A second call with the same --out runs only what is missing.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from tqdm import tqdm

from cnnlab import train
from cnnlab.cli import console
from cnnlab.errors import UserError
from cnnlab.overrides import quoted
from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.json_files import read_json
from cnnlab.workbench import marked_block
from cnnlab.workbench.canvas import BLUE, VERMILION, figure, png, project_style
from cnnlab.workbench.notation import markdown, shown_spread
from seeds import SMALL, check_earlier, seed_list

NETWORKS = {
    "mnist1d": {"CNN": "mnist1d_cnn", "MLP": "mnist1d_mlp"},
    "mnist": {"CNN": "mnist_cnn", "MLP": "mnist_mlp"},
}
AXES = {"mnist1d": "time", "mnist": "pixels"}
COLOURS = {"CNN": BLUE, "MLP": VERMILION}


@console.script()
def main() -> None:
    arguments = parse_arguments()
    seeds = arguments.seeds[:2] if arguments.smoke else arguments.seeds
    commands = dict(plan(arguments.data, seeds, arguments.out, arguments.smoke))
    try:
        check_earlier(commands)
        for folder, words in tqdm(commands.items(), desc="runs", disable=not sys.stderr.isatty()):
            if not (folder / "metrics.json").is_file():
                train([*words, f"hydra.run.dir={quoted(str(folder))}"])
    except UserError as error:
        sys.exit(f"error: {error}")
    runs = pd.DataFrame([result(folder, arguments.out) for folder in commands])
    table = markdown(rows(runs))
    write_atomically(arguments.out / "shuffle_study.csv", runs.to_csv(index=False).encode())
    write_atomically(arguments.out / "shuffle_study.png", draw(runs))
    print(f"{table}\nRuns, table and picture: {arguments.out}")
    if arguments.results:
        marked_block.write(arguments.results, "shuffle study", table, append=True)
        print(f"Table written to {arguments.results}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="default: all")
    parser.add_argument("--seeds", type=seed_list, default=seed_list("0-4"), help="0-4, or 0,3,7 (default 0-4)")
    parser.add_argument("--out", type=Path, default=Path("outputs/shuffle_study"), help="folder of runs and results")
    parser.add_argument("--results", type=Path, help="also put the table into this Markdown file")
    parser.add_argument("--smoke", action="store_true", help="two seeds, a few batches each: does it work?")
    return parser.parse_args()


def plan(data_sets: list[str], seeds: list[int], out: Path, smoke: bool) -> Iterator[tuple[Path, list[str]]]:
    """The folder of each run with the overrides that make it."""
    for data in data_sets:
        for network, experiment in NETWORKS[data].items():
            for axis in ("none", AXES[data]):
                for seed in seeds:
                    words = [f"experiment={experiment}", f"data.shuffle_axis={axis}", f"seed={seed}"]
                    if smoke:
                        words += [*SMALL, *(["data.allow_subset=true"] if data == "mnist" else [])]
                    yield out / f"{data}-{network.lower()}-{axis}" / str(seed), words


def result(folder: Path, out: Path) -> dict[str, object]:
    data, network, axis = folder.parent.relative_to(out).name.split("-")
    metrics = read_json(folder / "metrics.json")
    return {
        "data": data,
        "network": network.upper(),
        "features": "plain" if axis == "none" else f"shuffled {axis}",
        "seed": int(folder.name),
        "num_parameters": metrics["num_parameters"],
        "val_accuracy": metrics["val/accuracy"],
        "test_accuracy": metrics["test/accuracy"],
    }


def rows(runs: pd.DataFrame) -> list[list[str]]:
    """A header and a row for each network on each data set: mean ± sample standard deviation over the seeds."""
    table = [["data", "network", "parameters", "seeds", "plain, test %", "shuffled, test %", "difference by seed"]]
    for (data, network), group in runs.groupby(["data", "network"], sort=False):
        plain, shuffled = pairs(group)
        spreads = [shown_spread(v.mean(), v.std(), 2) for v in (plain, shuffled, shuffled - plain)]
        parameters = f"{group['num_parameters'].iloc[0]:,}"
        table.append([str(data), str(network), parameters, ", ".join(map(str, plain.index)), *spreads])
    return table


def pairs(group: pd.DataFrame) -> tuple["pd.Series[float]", "pd.Series[float]"]:
    """The accuracies of one network in percent on plain and on shuffled features, by seed."""
    is_plain = group["features"] == "plain"
    plain, shuffled = (100 * group[chosen].set_index("seed")["test_accuracy"] for chosen in (is_plain, ~is_plain))
    return plain, shuffled


def draw(runs: pd.DataFrame) -> bytes:
    """A PNG with a panel for each data set, in which a line joins the two accuracies of a seed."""
    data_sets = list(dict.fromkeys(runs["data"]))
    with project_style():
        drawn = figure(2.9)
        panels: list[Axes] = list(drawn.subplots(1, len(data_sets), squeeze=False)[0])
        for axes, data in zip(panels, data_sets, strict=True):
            chosen = runs[runs["data"] == data]
            for network, group in chosen.groupby("network", sort=False):
                plain, shuffled = pairs(group)
                for seed in plain.index:
                    ends = [plain[seed], shuffled[seed]]
                    axes.plot([0, 1], ends, "o-", color=COLOURS[str(network)], linewidth=0.8, markersize=3, alpha=0.7)
                change = f"{network}: {(shuffled - plain).mean().round(1) + 0.0:+.1f} points"
                size = f"{group['num_parameters'].iloc[0]:,} parameters"
                is_highest = 100 * chosen.loc[chosen["features"] != "plain", "test_accuracy"].max() == shuffled.max()
                axes.text(1.06, shuffled.mean(), f"{change}\n{size}", va="bottom" if is_highest else "top", fontsize=8,
                          color=COLOURS[str(network)])  # fmt: skip
            axes.margins(y=0.15)
            axes.set(xlim=(-0.15, 1.75), xticks=[0, 1], ylabel="test accuracy, %")
            axes.set_xticklabels(["plain", f"{AXES[data]}\nshuffled"])
            axes.set_title(f"{data}, a line for each seed", loc="left")
        return png(drawn)


if __name__ == "__main__":
    main()
