"""Train the same config with several seeds or folds and report mean and standard deviation.

    python scripts/seeds.py --seeds 0-4 -- model=tinyvgg
    python scripts/seeds.py --seeds 0-4 --results RESULTS.md -- model=lenet5 trainer.max_epochs=10
    python scripts/seeds.py --folds 10 --out outputs/seeds/linear -- model=linear
    python scripts/seeds.py --compare outputs/seeds/linear outputs/seeds/mlp

Every run is an ordinary `python train.py seed=<seed> …` in its own process, one after the other, so that its seconds
are those a user would see. A second call with the same --out runs only those that are missing and goes on with one
that was stopped or has failed; what lies there must come of the same command, settings, code, packages and data.

--folds N is cross-validation: N runs of each seed, with data.num_folds=N and data.fold=0 to N-1. A fold is a stratified
part, the same for every seed, of training and validation samples together. The run of a fold validates on it and trains
on the others; the official test split stays the test split. A data set without an official split may have folds of its
own, which then are the test splits: see --help of train.py with that data set.

--compare takes two folders made with the same seeds or folds of the same data, for example of two networks. It tests
the differences of the pairs (t-test with a 95 % confidence interval), for folds also corrected for the training samples
that they share (Nadeau & Bengio, Inference for the generalization error, 2003). Several seeds of a fold count as one
difference, their mean.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from tqdm import tqdm

from cnnlab.cli import console
from cnnlab.errors import UserError
from cnnlab.overrides import for_hydra, parsed, quoted, value_of
from cnnlab.runs import resuming
from cnnlab.runs.json_files import read_json
from cnnlab.runs.run_folder import load_config
from cnnlab.workbench import marked_block
from cnnlab.workbench.notation import decimals_of, markdown, shown_spread
from cnnlab.workbench.run_reports.run_table import state_of

PROJECT = Path(__file__).resolve().parents[1]
SMALL = ["trainer=smoke", "trainer.max_epochs=1", "data.train_size=256"]


@console.script()
def main() -> None:
    arguments = parse_arguments()
    if arguments.compare:
        from cnnlab.workbench.run_reports.paired import compare

        print(compare(*arguments.compare, arguments.metric))
        return
    out = arguments.out or Path("outputs/seeds") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    try:
        if arguments.results:
            marked_block.read(arguments.results, "seeds")  # before anything is trained
        check_overrides(arguments.overrides, arguments.folds)
        overrides = [*arguments.overrides, *(SMALL if arguments.smoke else [])]
        repeats = repeats_of(arguments.seeds, arguments.folds)[: 2 if arguments.smoke else None]
        commands = {out / folder_of(repeat): [*overrides, *words_of(repeat, arguments.folds)] for repeat in repeats}
        check_earlier(commands)
        for folder, command in tqdm(commands.items(), desc="runs", disable=not sys.stderr.isatty()):
            train(folder, command)
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print(f"stopped; the same command with --out {shlex.quote(str(out))} goes on", file=sys.stderr)
        sys.exit(130)
    runs = pd.DataFrame([read_json(out / folder_of(repeat) / "metrics.json") | repeat for repeat in repeats])
    runs.to_csv(out / "seeds.csv", index=False)
    scores = [name for name in runs if name.startswith(("val/", "test/"))]
    known = ["fold", "seed", "best_epoch", *sorted(scores, key=lambda name: name.startswith("test/"))]
    columns = [name for name in [*known, "train_seconds", "images_per_second"] if name in runs]
    print(runs[columns].to_string(index=False))
    script = ["scripts/seeds.py", "--folds", str(arguments.folds), "--"] if arguments.folds else ["train.py"]
    row = summarise(runs, shlex.join(["python", *script, *overrides]))
    print(f"\n{markdown([row, row.values()])}\nRuns and table: {out}")
    if arguments.results:
        update_results(arguments.results, row)
        print(f"Row written to {arguments.results}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seed_list, help="0-4, or 0,3,7 (default 0-4; with --folds 0)")
    parser.add_argument(
        "--folds", type=int, metavar="N", help="cross-validation with so many folds, each with each seed"
    )
    parser.add_argument("--out", type=Path, help="folder of the runs (default outputs/seeds/<date>_<time>)")
    parser.add_argument("--results", type=Path, help="also put the row into this Markdown file's table")
    parser.add_argument("--smoke", action="store_true", help="two seeds, a few batches each: does it work?")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("A", "B"), help="train nothing, test A against B")
    parser.add_argument("--metric", help="what --compare is about (default val/accuracy)")
    parser.add_argument("overrides", nargs="*", help="after --, what train.py is to be given")
    arguments = parser.parse_args()
    trains = [arguments.seeds, arguments.folds, arguments.out, arguments.results, arguments.smoke, arguments.overrides]
    if arguments.compare and any(trains):
        parser.error("--compare reads finished runs; beside A and B it takes --metric only")
    if arguments.metric and not arguments.compare:
        parser.error("--metric belongs to --compare")
    if arguments.folds is not None and arguments.folds < 2:
        parser.error(f"--folds must be at least 2, got {arguments.folds}")
    arguments.seeds = arguments.seeds or seed_list("0" if arguments.folds else "0-4")
    arguments.metric = arguments.metric or "val/accuracy"
    return arguments


def seed_list(text: str) -> list[int]:
    """0-4 is 0, 1, 2, 3, 4; 0,3,7 is itself."""
    first, dash, last = text.partition("-")
    try:
        seeds = list(range(int(first), int(last) + 1)) if dash else [int(seed) for seed in text.split(",")]
    except ValueError:
        seeds = []
    if not seeds:
        raise argparse.ArgumentTypeError(f"expected seeds like 0-4 or 0,3,7, got {text!r}")
    return list(dict.fromkeys(seeds))


def repeats_of(seeds: list[int], folds: int | None) -> list[dict[str, int]]:
    """The seed of every run, with folds also its fold: all of a fold come one after the other."""
    if folds is None:
        return [{"seed": seed} for seed in seeds]
    return [{"fold": fold, "seed": seed} for fold in range(folds) for seed in seeds]


def folder_of(repeat: dict[str, int]) -> str:
    """The name of its folder: 3, or fold-0-seed-3."""
    return "-".join(f"{name}-{number}" for name, number in repeat.items()) if "fold" in repeat else str(repeat["seed"])


def words_of(repeat: dict[str, int], folds: int | None) -> list[str]:
    """What train.py is given for it."""
    fold = [f"data.num_folds={folds}", f"data.fold={repeat['fold']}"] if "fold" in repeat else []
    return [*fold, f"seed={repeat['seed']}"]


def check_overrides(overrides: list[str], folds: int | None) -> None:
    """Raise UserError for what would not make one run a seed, or a fold of those that --folds asks for."""
    for word in overrides:
        if folds and parsed([word]).keys() & {"data.fold", "data.num_folds"}:
            raise UserError(f"--folds {folds} sets data.fold and data.num_folds for every run; leave out {word}")
        if word.startswith("-") or any(value_of(key, [word]) for key in ("sweep", "resume", "hydra/sweeper")):
            raise UserError(f"every seed is one run of overrides like model=tinyvgg, got {word}")


def check_earlier(commands: dict[Path, list[str]]) -> None:
    """Raise UserError unless what lies in the folders was made by these commands, with what is here now.

    Args:
        commands: the overrides for each folder.
    """
    found = {folder: command for folder, command in commands.items() if (folder / ".hydra/overrides.yaml").is_file()}
    for folder, command in found.items():
        made_by = yaml.safe_load((folder / ".hydra/overrides.yaml").read_text(encoding="utf-8"))
        wanted = [word for word in for_hydra(command) if not word.lstrip("+~").startswith(("hydra.", "hydra/"))]
        if made_by != wanted:
            raise UserError(
                f"{folder} was made by train.py {shlex.join(made_by)}, not by {shlex.join(wanted)}; name another --out"
            )
        check_idle(folder)
        for key, before, now in changed_settings(folder, command):
            raise UserError(f"{folder} was made with {key}={before}, and now it is {now}; name another --out")
    recorded = [folder for folder in found if (folder / "environment.json").is_file()]
    if not recorded:
        return
    now = environment_now(recorded[0])
    for folder in recorded:
        before = read_json(folder / "environment.json")
        if different := next(differences(before, now), None):
            what, old, new = different
            raise UserError(f"{folder} was made with {what} {old}, and here is {new}; name another --out")


def check_idle(folder: Path) -> None:
    """Raise UserError if a run is under way there."""
    if state_of(folder) == "running":
        raise UserError(f"{folder} is still running in another process; wait for it, or name another --out")


def changed_settings(folder: Path, overrides: list[str]) -> Iterator[tuple[str, Any, Any]]:
    """Yield each setting of the run there that is another one for these overrides now: its key, before and now."""
    config = composed(overrides)
    for key, before, now in resuming.differences(resuming.as_written(load_config(folder)), resuming.as_written(config)):
        is_found = now == "auto"  # which a run replaces by what it has found
        if not (is_found or (before is None and resuming.is_default(config, key, now))):
            yield key, before, now


def composed(overrides: list[str]) -> DictConfig:
    """The config that a run with these overrides would have now."""
    words = [word for word in for_hydra(overrides) if not word.lstrip("+~").startswith(("hydra.", "hydra/"))]
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return compose("train", words)


def environment_now(folder: Path) -> dict[str, Any]:
    """What environment.json would hold, were the run of this folder started now."""
    from cnnlab.building import build_data
    from cnnlab.runs import run_record
    from cnnlab.runs.quiet import quieten_libraries
    from cnnlab.runs.trust import trusted
    from cnnlab.speed import hardware

    quieten_libraries()
    config = trusted(load_config(folder), f"the config saved in {folder}")
    machine = hardware.choose(config.trainer.accelerator, config.trainer.precision, config.trainer.num_threads)
    return run_record.environment(machine, build_data(config).description())


def differences(before: dict[str, Any], now: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What two runs' numbers may differ by, as name, before and now. Threads change no more than the last digits."""
    for name in ("python", "cuda", "device", "precision", "dataset", "data_checksums"):
        if before[name] != now[name]:
            yield name, before[name], now[name]
    for package, version in now["versions"].items():
        if before["versions"].get(package) != version:
            yield package, before["versions"].get(package), version
    if "code" in before:
        if before["code"] != now["code"]:
            yield "the code", before["code"], now["code"]
    elif before["git"] and now["git"] and before["git"]["commit"] != now["git"]["commit"]:
        code = ["git", "-C", str(PROJECT), "diff", "--quiet", before["git"]["commit"], "--", "src", "conf", "train.py"]
        if subprocess.run(code, capture_output=True, check=False).returncode != 0:
            yield "the code of commit", before["git"]["commit"][:8], now["git"]["commit"][:8]


def train(run_dir: Path, overrides: list[str]) -> None:
    """Make the run, or what is missing of it.

    Raises:
        UserError: if it fails.
    """
    if (run_dir / "metrics.json").is_file():
        return
    check_idle(run_dir)  # another call may have come to this seed in the meantime
    if (run_dir / "checkpoints/last.ckpt").is_file():
        command = [f"resume={run_dir}"]
    else:
        if (run_dir / ".hydra").is_dir():  # an attempt that ended in its first epoch
            shutil.rmtree(run_dir)
        command = [*overrides, f"hydra.run.dir={quoted(str(run_dir))}"]
    program = [sys.executable, str(PROJECT / "train.py")]
    with subprocess.Popen(
        [*program, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        _, errors = process.communicate()
    if process.returncode != 0:
        raise UserError(f"{run_dir} failed with exit status {process.returncode}: {errors.strip()}")


def read_table(folder: Path) -> pd.DataFrame:
    """The runs of a folder that this script has made, a row each.

    Raises:
        UserError: if it is no such folder, or one of the runs is not there.
    """
    path = folder / "seeds.csv"
    try:
        runs = pd.read_csv(path)
        seeds = runs["seed"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{folder} has no seeds.csv with a column seed: expected a folder made by scripts/seeds.py --out {folder}"
        ) from error
    for seed in seeds if "fold" not in runs else ():
        if not (folder / str(seed) / "checkpoints/best.ckpt").is_file():
            raise UserError(f"{path} lists the seed {seed}, but {folder / str(seed)} holds no run with a best.ckpt")
    return runs


def summarise(runs: pd.DataFrame, command: str) -> dict[str, str]:
    """One row: mean ± sample standard deviation over the runs; a single one has none."""

    def spread(name: str, factor: float = 1, decimals: int | None = None) -> str:
        values = runs[name] * factor
        decimals = decimals_of([values.std()]) if decimals is None else decimals
        return shown_spread(values.mean(), values.std(), decimals)

    def scores(split: str) -> str:
        """The accuracy in percent, or whatever else there is of a run that tells no classes apart."""
        if f"{split}/accuracy" in runs:
            return spread(f"{split}/accuracy", 100, 2)
        names = [name for name in runs if name.startswith(f"{split}/")]
        return ", ".join(f"{name.partition('/')[2]} {spread(name)}" for name in names)

    first = runs.iloc[0]
    epochs = sorted(set(runs["epochs"]))
    folds = f"{runs['fold'].nunique()} folds: " if "fold" in runs else ""
    return {
        "command": f"`{command}`",
        "data": str(first["dataset"]),
        "parameters": f"{first['num_parameters']:,}",
        "epochs": str(epochs[0]) if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}",
        "seeds": folds + ", ".join(map(str, runs["seed"].unique())),
        "val %": scores("val"),
        "test %": scores("test"),
        "train seconds": spread("train_seconds", decimals=0 if runs["train_seconds"].mean() >= 10 else 2),
        "images/s": spread("images_per_second", decimals=0),
        "hardware": f"{first['device']}, {first['precision']}",
    }


def update_results(path: Path, row: dict[str, str]) -> None:
    """Put the row into the table between the two markers, in place of an older row of the same command."""
    kept = [
        line
        for line in marked_block.read(path, "seeds").strip().splitlines()[2:]
        if not line.startswith(f"| {row['command']} |")
    ]
    header, rule, new = markdown([row, row.values()]).splitlines()
    marked_block.write(path, "seeds", "\n".join([header, rule, *kept, new]))


if __name__ == "__main__":
    main()
