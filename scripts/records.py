"""Put the recipes conf/experiment/record_*.yaml, trained with several seeds, into one table and one picture.

    python scripts/records.py --train record_lenet5 --seeds 0-4 --results RESULTS.md --figure docs/records.png
    python scripts/records.py --results RESULTS.md --figure docs/records.png

--train makes the runs of these recipes with scripts/seeds.py in --out, and does what is missing of them. A row of the
table comes from the runs in --out; where there are none, the table's row stays as it is. The figure shows the table
beside published accuracies, which scripts/published.toml lists with their sources. All runs train, choose their best
epoch and stop by training and validation images alone; the official test images are scored once at the end.
"""

import argparse
import hashlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import seeds
from cnnlab.cli import console
from cnnlab.errors import UserError, did_you_mean
from cnnlab.overrides import as_typed, for_hydra
from cnnlab.workbench import canvas, marked_block
from cnnlab.workbench.notation import markdown

_PROJECT = Path(__file__).resolve().parents[1]
_BLOCK = "records"
_DIGITS = 12  # of a checksum
_SHOWN_DATA = "mnist"
_MARKERS = {"mean": "s", "one run": "D", "best on test": "X"}
_PLACES = {"above": (0, 5), "below": (0, -6), "right": (6, 0), "left": (-6, 0)}  # of names, in points from the middle
_NAME_WIDTH, _NAME_HEIGHT = 1.6, 0.06  # of a name beside a point: a factor of parameters, a share of the error
_KINDS = {
    "mean": "published: mean or median of several runs",
    "one run": "published: one run",
    "best on test": "published: best by the test images",
}


@console.script()
def main() -> None:
    arguments = parse_arguments()
    if arguments.results:
        marked_block.read(arguments.results, _BLOCK)  # before anything is trained
    recipes = sorted(path.stem for path in (_PROJECT / "conf/experiment").glob("record_*.yaml"))
    for name in arguments.train:
        if name not in recipes:
            raise UserError(f"{name} is none of the recipes{did_you_mean(name, recipes)}: {', '.join(recipes)}")
        train(name, arguments.seeds, arguments.out / name)
    table = updated(arguments.results, recipes, arguments.out)
    text = markdown([table, *table.to_numpy(dtype=object)])
    print(text)
    if not arguments.results:
        return
    marked_block.write(arguments.results, _BLOCK, text)
    print(f"\n{arguments.results}")
    if arguments.figure:
        published = tomllib.loads((_PROJECT / "scripts/published.toml").read_text(encoding="utf-8"))["point"]
        with canvas.project_style():
            defaults = marked_block.rows(arguments.results, "seeds")
            draw(table, defaults, published).savefig(arguments.figure, dpi=150)
        print(arguments.figure)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", nargs="+", default=[], metavar="RECIPE", help="recipes of conf/experiment")
    parser.add_argument("--seeds", default="0-4", help="for --train: 0-4, or 0,3,7")
    parser.add_argument(
        "--out", type=Path, default=Path("outputs/records"), help="folder of the runs (outputs/records)"
    )
    parser.add_argument("--results", type=Path, help="put the rows into the table of this Markdown file")
    parser.add_argument("--figure", type=Path, help="with --results: draw its table, accuracy over parameters")
    arguments = parser.parse_args()
    if arguments.figure and not arguments.results:
        parser.error("--figure draws the table of --results")
    return arguments


def train(name: str, numbers: str, folder: Path) -> None:
    """Make the runs of a recipe that are missing.

    Raises:
        UserError: if one fails; it has been told.
    """
    script = [sys.executable, str(_PROJECT / "scripts/seeds.py")]
    done = subprocess.run([*script, "--seeds", numbers, "--out", str(folder), "--", *words_of(name)], check=False)
    if done.returncode != 0:
        raise UserError(f"the runs of {name} have ended with exit status {done.returncode}")


def words_of(name: str) -> list[str]:
    """What train.py is given for each run of a recipe, beside the seed."""
    return [f"experiment={name}", "trainer.num_threads=1"]


def updated(results: Path | None, recipes: list[str], out: Path) -> pd.DataFrame:
    """The table, with the rows of those recipes made anew that have runs in `out`; by data and parameters."""
    table_before = marked_block.rows(results, _BLOCK) if results else []
    rows = {row["recipe"].strip("`"): row for row in table_before}
    for name in recipes:
        if (out / name / "seeds.csv").is_file():
            row = row_of(name, out / name)
            before, now = (len(one["seeds"].split()) for one in (rows.get(name, row), row))
            if now < before:
                raise UserError(
                    f"{out / name} has {now} seeds and the row in {results} has {before}; "
                    f"--train {name} --seeds makes the row of all that are named"
                )
            rows[name] = row
    if not rows:
        has_none = f"{results} has no row of a record yet, and " if results else ""
        raise UserError(f"{has_none}{out} has no runs of the recipes; --train makes them")
    table = pd.DataFrame([row for name, row in rows.items() if name in recipes])
    order = pd.to_numeric(table["parameters"].str.replace(",", ""))
    return table.assign(order=order).sort_values(["data", "order"]).drop(columns="order")


def row_of(name: str, folder: Path) -> dict[str, str]:
    """The row of a recipe from its runs.

    Raises:
        UserError: if these are not runs of the recipe as it is, a seed each.
    """
    runs = seeds.read_table(folder)
    if "fold" in runs:
        raise UserError(f"{folder} holds folds, and a row has one run of each seed")
    for seed in runs["seed"]:
        run = folder / str(seed)
        made_by = yaml.safe_load((run / ".hydra/overrides.yaml").read_text(encoding="utf-8"))
        if made_by != (wanted := for_hydra([*words_of(name), f"seed={seed}"])):
            typed = [shlex.join(as_typed(words)) for words in (made_by, wanted)]
            raise UserError(f"{run} was made by train.py {typed[0]}, not by {typed[1]}")
        for key, before, now in seeds.changed_settings(run, wanted):
            raise UserError(f"{run} was made with {key}={before}, and now {name} has {now}")
    row = seeds.summarise(runs, "")
    checkpoints = [folder / str(seed) / "checkpoints/best.ckpt" for seed in runs["seed"]]
    checksums = [hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS] for path in checkpoints]
    shown = ("data", "parameters", "epochs", "seeds", "val %", "test %", "train seconds", "hardware")
    return {"recipe": f"`{name}`"} | {key: row[key] for key in shown} | {"best.ckpt, SHA-256": " ".join(checksums)}


def draw(table: pd.DataFrame, defaults: list[dict[str, str]], published: list[Mapping[str, Any]]) -> Figure:
    """Accuracy over parameters, ours with standard deviations, beside what others have published.

    Args:
        defaults: rows of scripts/seeds.py, networks with their default settings.
    """
    drawn = canvas.figure(4.6)
    axes = drawn.subplots()
    records = [(re.sub("^`record_|`$", "", row["recipe"]), row) for _, row in table.iterrows()]
    simple = [(match[1], row) for row in defaults if (match := re.search(r"model=(\w+)", row["command"]))]
    ours = [
        (name, int(row["parameters"].replace(",", "")), row["test %"].partition(" ± "), colour)
        for rows, colour in ((simple, canvas.SKY), (records, canvas.BLUE))
        for name, row in rows
        if row["data"] == _SHOWN_DATA
    ]
    bars = [
        (parameters, 100 - float(accuracy) - float(deviation or 0), 100 - float(accuracy) + float(deviation or 0))
        for _, parameters, (accuracy, _, deviation), _ in ours
    ]
    bars += [(point["parameters"], 100 - point["accuracy"], 100 - point["accuracy"]) for point in published]
    for name, parameters, (accuracy, _, deviation), colour in ours:
        place = parameters, 100 - float(accuracy)
        axes.errorbar(*place, float(deviation or 0), fmt="o", color=colour, capsize=3, zorder=3)
        _name(axes, name.replace("_", " "), place, colour, (-6 if _is_in_the_way(place, bars) else 6, 0))
    for point in published:
        error = 100 - point["accuracy"]
        axes.plot(point["parameters"], error, _MARKERS[point["chosen"]], color=canvas.VERMILION, markerfacecolor="none")
        _name(axes, point["name"], (point["parameters"], error), canvas.GREY, _PLACES[point["name_at"]])
    canvas.log_axis(axes.xaxis, (1, 3))
    axes.margins(x=0.14)
    axes.set_yscale("log")
    axes.invert_yaxis()
    canvas.mark_logarithms(axes.yaxis, sorted(axes.get_ylim()), most=9)
    axes.yaxis.set_major_formatter(lambda error, _: f"{100 - error:.4g}")
    axes.set_xlabel("trainable parameters")
    axes.set_ylabel("accuracy on MNIST's test images in % (log of the error)")
    handles = [
        Line2D([], [], marker="o", ls="", color=canvas.BLUE, label="this project: mean ± sd over seeds"),
        Line2D(
            [], [], marker="o", ls="", color=canvas.SKY, label="the same, default networks and settings, 5 or 10 epochs"
        ),
    ]
    handles += [
        Line2D([], [], marker=_MARKERS[kind], ls="", color=canvas.VERMILION, markerfacecolor="none", label=text)
        for kind, text in _KINDS.items()
        if any(point["chosen"] == kind for point in published)
    ]
    axes.legend(handles=handles, loc="lower right")
    return drawn


def _is_in_the_way(place: tuple[int, float], bars: list[tuple[int, float, float]]) -> bool:
    """Whether one of the points, with its error bar, stands where the name to the right of this one would be."""
    return any(
        1 < x / place[0] < _NAME_WIDTH and low * (1 - _NAME_HEIGHT) < place[1] < high * (1 + _NAME_HEIGHT)
        for x, low, high in bars
    )


def _name(axes: Axes, text: str, place: tuple[float, float], colour: str, beside: tuple[int, int]) -> None:
    """Write a name above, below or beside a point.

    Args:
        beside: by so many points of the page.
    """
    right, up = beside
    axes.annotate(
        text,
        place,
        textcoords="offset points",
        xytext=beside,
        ha="left" if right > 0 else "right" if right else "center",
        va="center" if right else "bottom" if up > 0 else "top",
        color=colour,
        fontsize=7,
    )


if __name__ == "__main__":
    main()
