"""Measure how many workers one database serves: they claim trials of one study and end them at once, without training.

    python scripts/worker_benchmark.py --results RESULTS.md --figure docs/workers.png

measures 1, 10, 50 and 200 workers with 400 trials each; 1,000 are too many for a few cores (RESULTS.md). A study that
is not at its end after --minutes is cut. Each worker has its own folder and its own two connections, as on a machine of
its own; those of more than 200 workers share processes, so that they fit into memory. The database is a PostgreSQL that
is started for it; it needs Debian's package postgresql and a driver: pip install "psycopg[binary]". The exit status is
1 if a trial was lost, was run twice or was one too many.
"""

import argparse
import gc
import multiprocessing
import os
import platform
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from matplotlib.figure import Figure
from optuna.distributions import IntDistribution
from optuna.samplers import RandomSampler
from optuna.trial import TrialState
from tqdm import tqdm

from async_optuna.cores import usable_cores
from async_optuna.distinct_sampler import DistinctSampler
from async_optuna.ledger import Ledger
from async_optuna.outcome import Outcome
from async_optuna.space import Parameter, Space
from async_optuna.storage import open_storage
from cnnlab.cli import console
from cnnlab.speed.hardware import device_name
from cnnlab.workbench import canvas, marked_block
from cnnlab.workbench.notation import markdown
from postgresql_server import Server, running_server, what_is_missing

# 10,000 points: two workers may well choose the same one.
_SPACE = Space(tuple(Parameter(name, IntDistribution(0, 99)) for name in ("x", "y")))

# What a search waits before it looks again whether there is something to do.
_POLL_SECONDS = 0.5

_MOST_PROCESSES = 200


@console.script()
def main() -> None:
    arguments = parse_arguments()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if missing := what_is_missing():
        sys.exit(f"this needs {missing}")
    gc.freeze()  # what was imported is not looked at again, so that the workers share its memory
    rows: list[dict[str, Any]] = []
    with running_server(max_connections=2 * max(arguments.workers) + 20) as server:
        for number in tqdm(arguments.workers, desc="workers", disable=not sys.stderr.isatty()):
            rows.append(measure(server, number, arguments.trials, 60 * arguments.minutes))
            table = pd.DataFrame(rows)
            text = f"{markdown([table, *table.to_numpy(dtype=object)])}\n{circumstances()}\n"
            print(text)
            if arguments.results:
                marked_block.write(arguments.results, "workers", text)
    if arguments.figure:
        with canvas.project_style():
            draw(table).savefig(arguments.figure, dpi=150)
        print(arguments.figure)
    if table[["lost", "run twice", "too many"]].to_numpy().any():
        sys.exit("the study is not exact")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--minutes", type=float, default=30.0, help="for the trials of one study")
    parser.add_argument("--results", type=Path, help="also put the table into this Markdown file")
    parser.add_argument("--figure", type=Path, help="also draw trials/s over workers into this file")
    return parser.parse_args()


def measure(server: Server, num_workers: int, n_trials: int, seconds: float) -> dict[str, Any]:
    """One study, by so many workers, which end after so many seconds at the latest."""
    name = f"{num_workers} workers"
    context = multiprocessing.get_context("fork")  # imports once for all; each opens the database itself
    begin = context.Event()
    with tempfile.TemporaryDirectory(prefix="workers_") as folder:
        optuna.create_study(study_name=name, storage=open_storage(server.url, Path(folder)))
        ready = context.Semaphore(0)
        shares = [range(first, num_workers, _MOST_PROCESSES) for first in range(min(num_workers, _MOST_PROCESSES))]
        limits = (n_trials, seconds)
        processes = [
            context.Process(target=work_together, args=(share, server.url, name, Path(folder), limits, ready, begin))
            for share in shares
        ]
        for process in processes:
            process.start()
        for _ in range(num_workers):
            while not ready.acquire(timeout=5):
                if not all(process.is_alive() for process in processes):
                    raise RuntimeError("a worker has died before its first trial")
        began = time.time()
        begin.set()
        for process in processes:
            process.join()
        trials = optuna.load_study(study_name=name, storage=server.url).get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    points = {tuple(sorted(trial.params.items())) for trial in complete}
    taken = max(trial.datetime_complete.timestamp() for trial in complete if trial.datetime_complete) - began
    missing = 0 if taken >= seconds else max(0, n_trials - len(points))
    return {
        "workers": num_workers,
        "trials": len(complete),
        "trials/s": f"{len(complete) / taken:.2f}",
        "lost": missing + sum(not trial.state.is_finished() for trial in trials),
        "run twice": len(complete) - len(points),
        "too many": max(0, len(complete) - n_trials),
        "given back": sum(trial.user_attrs.get("retry") is False for trial in trials),
        "workers that died": sum(process.exitcode or 0 for process in processes),
    }


def work_together(
    numbers: Sequence[int], url: str, name: str, folder: Path, limits: tuple[int, float], ready: Any, begin: Event
) -> None:
    """Be the workers of these numbers; exit with the number of those that died."""
    with ThreadPoolExecutor(len(numbers)) as pool:
        workers = [pool.submit(work, url, name, folder / str(number), *limits, ready, begin) for number in numbers]
    errors = [error for worker in workers if (error := worker.exception())]
    for error in errors:
        print(f"a worker has died: {error!r}", file=sys.stderr)
    sys.exit(len(errors))


def work(url: str, name: str, folder: Path, n_trials: int, seconds: float, ready: Any, begin: Event) -> None:
    """Claim trials and end them, as a search's loop does, until there are enough."""
    folder.mkdir()
    study = optuna.load_study(study_name=name, storage=open_storage(url, folder))
    ledger = Ledger(study, _SPACE, folder, n_trials, is_shared=True)
    study.sampler = DistinctSampler(lambda seed: RandomSampler(seed=seed), None, _SPACE, ledger.is_seen)
    dice = random.Random(folder.name)
    ledger.refresh()
    ready.release()
    begin.wait()
    deadline = time.monotonic() + seconds
    while ledger.counts.finished < n_trials and time.monotonic() < deadline:
        claim = ledger.claim(0)
        if claim is None:
            time.sleep(dice.uniform(0.5, 1.0) * _POLL_SECONDS)
        else:
            ledger.finish(claim.number, Outcome("COMPLETE", [dice.random()]))
        ledger.refresh()
    ledger.leave()


def draw(table: pd.DataFrame) -> Figure:
    """Trials/s over the number of workers."""
    drawn = canvas.figure(3.0)
    axes = drawn.subplots()
    numbers, rates = table["workers"].astype(int), table["trials/s"].astype(float)
    axes.loglog(numbers, rates, "o-", color=canvas.BLUE)
    for number, rate in zip(numbers, rates, strict=True):
        axes.annotate(f"{rate:.2g}", (number, rate), textcoords="offset points", xytext=(0, 7), ha="center")
    axes.set_xticks(numbers, [f"{number:,}" for number in numbers])
    axes.minorticks_off()
    axes.set_ylim(rates.min() / 2, rates.max() * 2)
    canvas.mark_logarithms(axes.yaxis, axes.get_ylim())
    axes.set_xlabel("workers of one study")
    axes.set_ylabel("trials/s, all workers together")
    axes.set_title(f"Workers and their PostgreSQL share {_cores()} of a CPU; the trials train nothing")
    return drawn


def _cores() -> str:
    number = usable_cores()
    return "one core" if number == 1 else f"{number} cores"


def circumstances() -> str:
    command = shlex.join(["python", "scripts/worker_benchmark.py", *sys.argv[1:]])
    machine = f"{device_name('cpu').partition(',')[0]}, {_cores()}, load {os.getloadavg()[0]:.1f} at the end"
    return f"`{command}`; {machine}; Python {platform.python_version()}, optuna {optuna.__version__}, PostgreSQL here."


if __name__ == "__main__":
    main()
