"""Train the same config with several seeds and report mean and standard deviation.

    python scripts/seeds.py --seeds 0-4 -- model=tinyvgg
    python scripts/seeds.py --seeds 0-4 --results RESULTS.md -- model=lenet5 trainer.max_epochs=10

Every run is an ordinary `python train.py seed=<seed> …` in its own process, one after the other, so that its seconds
are those a user would see. A second call with the same --out runs only the seeds that are missing.
"""

import argparse
import json
import shlex
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from cnnlab import console

PROJECT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- seeds: begin -->", "<!-- seeds: end -->"


@console.script()
def main() -> None:
    arguments = parse_arguments()
    seeds = arguments.seeds[:2] if arguments.smoke else arguments.seeds
    out = arguments.out or Path("outputs/seeds") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for seed in tqdm(seeds, desc="seeds", disable=not sys.stderr.isatty()):
        train(seed, out / str(seed), arguments.overrides, arguments.smoke)
    runs = pd.DataFrame([{**read_metrics(out / str(seed)), "seed": seed} for seed in seeds])
    out.mkdir(parents=True, exist_ok=True)
    runs.to_csv(out / "seeds.csv", index=False)
    columns = ["seed", "best_epoch", "val/accuracy", "test/accuracy", "train_seconds", "images_per_second"]
    print(runs[columns].to_string(index=False))
    row = summarise(runs, shlex.join(["python", "train.py", *arguments.overrides]))
    print(f"\n{markdown([row])}\n\nRuns and table: {out}")
    if arguments.results:
        update_results(arguments.results, row)
        print(f"Row written to {arguments.results}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seed_list, default=seed_list("0-4"), help="0-4, or 0,3,7 (default 0-4)")
    parser.add_argument("--out", type=Path, help="folder of the runs (default outputs/seeds/<date>_<time>)")
    parser.add_argument("--results", type=Path, help="also put the row into this Markdown file's table")
    parser.add_argument("--smoke", action="store_true", help="two seeds, a few batches each: does it work?")
    parser.add_argument("overrides", nargs="*", help="after --, what train.py is to be given")
    return parser.parse_args()


def seed_list(text: str) -> list[int]:
    """0-4 is 0, 1, 2, 3, 4; 0,3,7 is itself."""
    first, dash, last = text.partition("-")
    return list(range(int(first), int(last) + 1)) if dash else [int(seed) for seed in text.split(",")]


def train(seed: int, run_dir: Path, overrides: list[str], smoke: bool) -> None:
    if (run_dir / "metrics.json").is_file():
        return
    extra = ["trainer=smoke", "data.train_size=256"] if smoke else []
    command = [
        sys.executable,
        str(PROJECT / "train.py"),
        *overrides,
        *extra,
        f"seed={seed}",
        f"hydra.run.dir={run_dir}",
    ]
    finished = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if finished.returncode != 0:
        sys.exit(f"seed {seed} failed with exit status {finished.returncode}: {finished.stderr.strip()}")


def read_metrics(run_dir: Path) -> dict[str, object]:
    metrics: dict[str, object] = json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))
    return metrics


def summarise(runs: pd.DataFrame, command: str) -> dict[str, str]:
    """One row: mean ± sample standard deviation over the seeds."""

    def spread(name: str, factor: float, decimals: int) -> str:
        values = runs[name] * factor
        return f"{values.mean():,.{decimals}f} ± {values.std():,.{decimals}f}"

    first = runs.iloc[0]
    return {
        "command": f"`{command}`",
        "data": str(first["dataset"]),
        "parameters": f"{first['num_parameters']:,}",
        "epochs": str(first["epochs"]),
        "seeds": ", ".join(map(str, runs["seed"])),
        "val %": spread("val/accuracy", 100, 2),
        "test %": spread("test/accuracy", 100, 2) if "test/accuracy" in runs else "",
        "train seconds": spread("train_seconds", 1, 0),
        "images/s": spread("images_per_second", 1, 0),
        "hardware": f"{first['device']}, {first['precision']}",
    }


def markdown(rows: list[dict[str, str]]) -> str:
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def update_results(path: Path, row: dict[str, str]) -> None:
    """Put the row into the table between the two markers, in place of an older row of the same command."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    kept = [line for line in table.strip().splitlines()[2:] if not line.startswith(f"| {row['command']} |")]
    header, rule, new = markdown([row]).splitlines()
    path.write_text(
        before + BEGIN + "\n" + "\n".join([header, rule, *kept, new]) + "\n" + END + after, encoding="utf-8"
    )


if __name__ == "__main__":
    main()
