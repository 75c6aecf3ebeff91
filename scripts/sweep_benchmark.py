"""Measure what a search costs beside its trials.

    python scripts/sweep_benchmark.py                        all parts; journal takes the longest by far
    python scripts/sweep_benchmark.py idle                   idle seconds of a slot between two trials, utilisation
    python scripts/sweep_benchmark.py latency                from a free slot to the task's first line, torch loaded
    python scripts/sweep_benchmark.py journal --trials 1000  speed, file size and memory over a long study
    python scripts/sweep_benchmark.py claims --trials 1000   CPU time to begin and end a trial, for each sampler
    python scripts/sweep_benchmark.py --smoke                a few trials of each: does it work?

The task is scripts/sweep_toy.py, which prints the time at its first line and sleeps. Tables go to outputs/bench/sweep/
as CSV and Markdown, with --results also into that file, between the markers of each part.
"""

import argparse
import heapq
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import optuna
import pandas as pd
from tqdm import tqdm

from async_optuna.cores import usable_cores
from claim_costs import claim_costs
from cnnlab.cli import console
from cnnlab.speed.hardware import device_name
from cnnlab.workbench.notation import markdown
from toy_study import Process, ToyStudy

PARTS = ("idle", "latency", "journal", "claims")
VERSIONS = ("optuna", "hydra-core", "torch", "lightning")
MIB = 2**20

# What train.py has loaded when a trial of it begins.
PRELOAD = "cnnlab.training"
LOADED = ["torch", "lightning.pytorch"]
WITH_TORCH = [f"hydra.sweeper.preload=[{PRELOAD}]", f"must_be_loaded=[{','.join(LOADED)}]"]


@console.script()
def main() -> None:
    arguments = parse_arguments()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for part in arguments.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="sweep_benchmark_") as folder:
            table, note = globals()[part](Path(folder), arguments)
        table.to_csv(arguments.out / f"{part}.csv", index=False)
        text = f"{note}\n\n{markdown([table, *table.to_numpy(dtype=object)])}\n{circumstances()}\n"
        (arguments.out / f"{part}.md").write_text(text, encoding="utf-8")
        print(f"\n{text}", flush=True)
        if arguments.results:
            update_results(arguments.results, part, text)
    print(f"Tables: {arguments.out}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"any of {', '.join(PARTS)} (default all)")
    parser.add_argument("--seeds", type=int, default=3, help="searches of 16 trials for idle (default 3)")
    parser.add_argument("--rounds", type=int, default=5, help="for latency, of 6 trials each (default 5)")
    parser.add_argument("--trials", type=int, default=10_000, help="for journal and claims (default 10000)")
    parser.add_argument("--slots", type=int, default=8, help="for journal (default 8)")
    parser.add_argument("--out", type=Path, default=Path("outputs/bench/sweep"), help="folder of the tables")
    parser.add_argument("--results", type=Path, help="also put the tables into this Markdown file")
    parser.add_argument("--smoke", action="store_true", help="a few trials of each part")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(unknown)}: choose from {', '.join(PARTS)}")
    if arguments.smoke:
        arguments.seeds, arguments.rounds, arguments.trials, arguments.slots = 1, 1, 20, 2
    if arguments.trials < 10:
        parser.error("--trials must be at least 10")
    return arguments


# --- Parts ------------------------------------------------------------------------------------------------------------


def idle(folder: Path, arguments: argparse.Namespace) -> tuple[pd.DataFrame, str]:
    """Trials whose durations differ by a factor of ten, in two slots."""
    n_trials, low, high, slots = (6, 0.1, 1.0, 2) if arguments.smoke else (16, 0.4, 4.0, 2)
    rows = []
    for seed in progress(range(arguments.seeds), "idle"):
        durations = f"seconds=tag(log,interval({low},{high}))"
        study = ToyStudy(folder / str(seed), n_trials, slots, [durations, *random_sampler(seed), *WITH_TORCH])
        study.run()
        trials = study.trials()
        began = [study.began(trial) for trial in trials]
        ended = [study.ended(trial) for trial in trials]
        busy = [end - begin for begin, end in zip(began, ended, strict=True)]
        rows.append(
            {
                "sampler seed": seed,
                "trials": n_trials,
                "idle s per trial": spread(study.pauses(trials)),
                "utilisation": share(busy, slots, max(ended) - min(began)),
                "with no idle time at all": share(busy, slots, makespan(busy, slots)),
                "batch barrier, no idle time": share(busy, slots, barrier_makespan(busy, slots)),
            }
        )
    note = (
        f"{slots} slots, durations log-uniform from {low:g} to {high:g} s, torch and lightning loaded. Idle: from a "
        "trial's last file to the first line of the next task in its slot, median (smallest–largest). The last two "
        "columns are computed for the same durations; a batch barrier starts as many trials as there are slots and "
        "waits for the slowest."
    )
    return pd.DataFrame(rows), note


def latency(folder: Path, arguments: argparse.Namespace) -> tuple[pd.DataFrame, str]:
    """Trials from the process that has imported everything, against new interpreters; they take turns."""
    n_trials, slots = 6, 1
    pauses: list[float] = []
    fresh: list[float] = []
    for number in progress(range(arguments.rounds), "latency"):
        study = ToyStudy(folder / str(number), n_trials, slots, ["seconds=0.2", *random_sampler(number), *WITH_TORCH])
        study.run()
        pauses += study.pauses(study.trials())
        fresh.append(fresh_interpreter())
    rows = [
        {"from a free slot to the task's first line": "trial of a search", "s": spread(pauses), "times": len(pauses)},
        {"from a free slot to the task's first line": "new interpreter", "s": spread(fresh), "times": len(fresh)},
    ]
    note = (
        f"{slots} slot, {' and '.join(LOADED)} in sys.modules at the task's first line. Median (smallest–largest); "
        f"the new interpreter only imports {PRELOAD}, it composes no config."
    )
    return pd.DataFrame(rows), note


def journal(folder: Path, arguments: argparse.Namespace) -> tuple[pd.DataFrame, str]:
    """Many trials that do nothing: what grows with the study's length?"""
    study = ToyStudy(folder / "study", arguments.trials, arguments.slots, random_sampler(0))
    samples = watch(study.start(), study)
    trials = study.trials()
    began = [study.began(trial) for trial in trials]
    ended = [study.ended(trial) for trial in trials]
    rows = []
    for part in range(10):
        numbers = range(part * len(trials) // 10, (part + 1) * len(trials) // 10)
        first, last = min(began[number] for number in numbers), max(ended[number] for number in numbers)
        until = samples[samples["time"] <= last].iloc[-1]
        asked = [trials[number].datetime_start.timestamp() for number in numbers]
        starts = [began[number] - ask for number, ask in zip(numbers, asked, strict=True)]
        rows.append(
            {
                "trials": f"{numbers[0]:,}–{numbers[-1]:,}",
                "trials/s": f"{len(numbers) / (last - first):.1f}",
                "free slot to first line, s": spread(study.pauses([trials[number] for number in numbers])),
                "ask to first line, s": spread(starts),
                "journal MiB": f"{until['journal'] / MIB:.1f}",
                "controller MiB": f"{until['memory'] / MIB:.0f}",
            }
        )
    in_new, in_long = new_and_long(folder, len(trials), 1 if arguments.smoke else 3)
    note = (
        f"{len(trials):,} trials that do nothing, {arguments.slots} slots, random sampler, no torch. Then, with one "
        f"slot and taking turns, free slot to first line: {spread(in_long)} s after these, {spread(in_new)} s in a new "
        "study."
    )
    return pd.DataFrame(rows), note


def claims(folder: Path, arguments: argparse.Namespace) -> tuple[pd.DataFrame, str]:
    """What begins and ends a trial, without the trial: does it grow with the study?"""
    note = (
        f"{arguments.trials:,} trials that do nothing; milliseconds of CPU time for each at the end of each tenth, one "
        "after the other in one process, the journal in memory. Optuna's search is the sampler's proposal and the look "
        "for enqueued trials in study.ask, which read all trials. The trials between the measured ones were put in "
        "ready made. The results file is written at most once a second and for at most 2 % of the time. MiB: the most "
        "the process had."
    )
    return pd.DataFrame(claim_costs(arguments.trials)), note


def new_and_long(folder: Path, length: int, rounds: int, trials: int = 20) -> tuple[list[float], list[float]]:
    """Pauses between trials in new studies and in the long one; in turns, since the machine may have other work."""
    in_new: list[float] = []
    in_long: list[float] = []
    for number in progress(range(rounds), "new and long"):
        for name, before, pauses in ((f"new {number}", 0, in_new), ("study", length + number * trials, in_long)):
            study = ToyStudy(folder / name, before + trials, 1, random_sampler(0))
            study.run()
            pauses += study.pauses(study.trials()[before:])
    return in_new, in_long


# --- Measuring --------------------------------------------------------------------------------------------------------


def random_sampler(seed: int) -> list[str]:
    return ["hydra/sweeper/sampler=random", f"hydra.sweeper.sampler.seed={seed}"]


def fresh_interpreter() -> float:
    """Seconds until a new Python has imported what a trial needs."""
    began = time.time()
    code = f"import {PRELOAD}, sys, time; print(time.time()); assert {set(LOADED)} <= set(sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(printed) - began


def watch(process: Process, study: ToyStudy) -> pd.DataFrame:
    """The journal's size and the controller's memory over time, until its end.

    Raises:
        RuntimeError: if it fails.
    """
    rows = []
    with tqdm(total=study.n_trials, desc="journal", disable=not sys.stderr.isatty()) as bar:
        while process.poll() is None:
            file = study.folder / "study.journal"
            size = file.stat().st_size if file.exists() else 0
            rows.append({"time": time.time(), "journal": size, "memory": resident_bytes(process.pid)})
            bar.update(len(study.trial_folders()) - bar.n)
            time.sleep(1.0)
    if process.returncode:
        raise RuntimeError(f"exit status {process.returncode}: {study.output()[-1000:]}")
    return pd.DataFrame(rows)


def resident_bytes(process: int) -> float:
    """The process's memory, nan where there is no /proc to read it from."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return float("nan")
    return next((1024 * float(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0.0)


def makespan(durations: Sequence[float], slots: int) -> float:
    """When the last trial ends if a free slot always takes the next one at once."""
    free_at = [0.0] * slots
    for duration in durations:
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)


def barrier_makespan(durations: Sequence[float], slots: int) -> float:
    """The same if slots wait for each other before each batch."""
    return sum(max(durations[start : start + slots]) for start in range(0, len(durations), slots))


def share(busy: Sequence[float], slots: int, seconds: float) -> str:
    return f"{sum(busy) / (slots * seconds):.2f}"


# --- Writing ----------------------------------------------------------------------------------------------------------


def spread(values: Sequence[float]) -> str:
    column = pd.Series(values)
    return f"{column.median():.2f} ({column.min():.2f}–{column.max():.2f})"


def circumstances() -> str:
    command = shlex.join(["python", "scripts/sweep_benchmark.py", *sys.argv[1:]])
    versions = [f"{name} {importlib.metadata.version(name)}" for name in VERSIONS]
    machine = (
        f"{device_name('cpu').partition(',')[0]}, {usable_cores()} cores, load {os.getloadavg()[0]:.1f} at the end"
    )
    return f"`{command}`; {machine}; Python {platform.python_version()}, {', '.join(versions)}."


def update_results(path: Path, part: str, text: str) -> None:
    """Put the text between the part's two markers."""
    begin, end = f"<!-- sweep {part}: begin -->", f"<!-- sweep {part}: end -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, marker, after = rest.partition(end)
    if not marker:
        sys.exit(f"{path} holds no {begin} … {end}")
    path.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")


def progress(steps: range, title: str) -> "tqdm[int]":
    return tqdm(steps, desc=title, disable=not sys.stderr.isatty())


if __name__ == "__main__":
    main()
