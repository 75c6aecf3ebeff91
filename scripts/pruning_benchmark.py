"""Measure what pruning saves and costs: the same random points with and without successive halving.

    python scripts/pruning_benchmark.py --seeds 0-2 --results RESULTS.md

Every search is an ordinary `python train.py -m sweep=tinyvgg …` with the random sampler, whose points depend on the
seed and the trial's number alone. A second call goes on where the first was stopped.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from tqdm import tqdm

from cnnlab.cli import console
from cnnlab.workbench import marked_block

PROJECT = Path(__file__).resolve().parents[1]
VARIANTS = {
    "unpruned": ["hydra/sweeper/pruner=none"],
    "successive halving": [
        "hydra/sweeper/pruner=successive_halving",
        "hydra.sweeper.pruner.min_resource=1",
        "hydra.sweeper.pruner.reduction_factor=3",
    ],
}


@console.script()
def main() -> None:
    arguments = parse_arguments()
    jobs = [(seed, variant) for seed in arguments.seeds for variant in VARIANTS]
    rows = []
    for seed, variant in tqdm(jobs, desc="searches", disable=not sys.stderr.isatty()):
        rows.append({"seed": seed, "search": variant, **search(arguments, seed, variant)})
    table = pd.DataFrame(rows)
    summary = summarise(table)
    arguments.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.out / "pruning.csv", index=False)
    text = f"{markdown(table)}\n\n{summary}\n"
    (arguments.out / "pruning.md").write_text(text, encoding="utf-8")
    print(f"{text}\nTables: {arguments.out}")
    if arguments.results:
        marked_block.write(arguments.results, "pruning", text)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seed_list, default=seed_list("0-2"), help="of the sampler: 0-2, or 0,5")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path("outputs/bench/pruning"))
    parser.add_argument("--results", type=Path, help="also put the tables into this Markdown file")
    parser.add_argument("overrides", nargs="*", help="after --, what else train.py is to be given")
    return parser.parse_args()


def seed_list(text: str) -> list[int]:
    """0-2 is 0, 1, 2; 0,3 is itself."""
    first, dash, last = text.partition("-")
    return list(range(int(first), int(last) + 1)) if dash else [int(seed) for seed in text.split(",")]


def search(arguments: argparse.Namespace, seed: int, variant: str) -> dict[str, float]:
    """Run one search to its end and count what it took."""
    name = f"{variant.replace(' ', '_')}_{seed}"
    folder = arguments.out.absolute() / name
    command = [sys.executable, str(PROJECT / "train.py"), "-m", "sweep=tinyvgg", *VARIANTS[variant]]
    command += ["hydra/sweeper/sampler=random", f"hydra.sweeper.sampler.seed={seed}"]
    command += [f"hydra.sweeper.study_name={name}", f"hydra.sweep.dir='{folder}'", "hydra.sweeper.report=null"]
    command += [f"hydra.sweeper.n_trials={arguments.trials}", "hydra.sweeper.enqueue_defaults=false"]
    command += [f"trainer.max_epochs={arguments.epochs}", f"data.train_size={arguments.images}", *arguments.overrides]
    subprocess.run(command, check=True)
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    trials = optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
    finished = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    return {
        "trials": len(finished),
        "epochs": sum(len(trial.intermediate_values) for trial in finished),
        "best val/accuracy": max(trial.value for trial in finished if trial.state == TrialState.COMPLETE),
        "seconds": sum(trial.user_attrs["seconds"] for trial in finished),
    }


def summarise(table: pd.DataFrame) -> str:
    """Epochs and seconds as shares of the unpruned search, and the loss of the best accuracy in points."""
    by_seed = table.pivot(index="seed", columns="search")
    pruned, full = "successive halving", "unpruned"
    epochs = by_seed["epochs"][pruned] / by_seed["epochs"][full]
    seconds = by_seed["seconds"][pruned] / by_seed["seconds"][full]
    loss = 100 * (by_seed["best val/accuracy"][full] - by_seed["best val/accuracy"][pruned])
    spread = f" ± {loss.std():.2f}" if len(loss) > 1 else ""
    return (
        f"Over {len(loss)} sampler seeds: {epochs.mean():.1%} of the epochs, {seconds.mean():.1%} of the seconds, "
        f"{loss.mean():.2f}{spread} points of best validation accuracy lost."
    )


def markdown(table: pd.DataFrame) -> str:
    lines = ["| seed | search | trials | epochs | best val/accuracy | seconds |", "|---|---|---|---|---|---|"]
    for _, row in table.iterrows():
        lines.append(
            f"| {row['seed']} | {row['search']} | {row['trials']} | {row['epochs']} "
            f"| {row['best val/accuracy']:.2%} | {row['seconds']:,.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
