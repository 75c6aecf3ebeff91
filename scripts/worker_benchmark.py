"""Measure how many workers one database serves: they claim trials of one study and end them at once, without training.

    python scripts/worker_benchmark.py --results RESULTS.md                 1, 10, 50 and 200 workers, 400 trials each
    python scripts/worker_benchmark.py --workers 1000 --trials 2000

Each worker is a process with its own folder and its own connections, as on a machine of its own. The database is a
PostgreSQL that is started for it; it needs Debian's package postgresql and a driver: pip install "psycopg[binary]".
The exit status is 1 if a trial was lost, was run twice or was one too many.
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
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
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
from cnnlab.workbench import marked_block
from cnnlab.workbench.notation import markdown
from postgresql_server import Server, running_server, what_is_missing

# 10,000 points: two workers may well choose the same one.
_SPACE = Space(tuple(Parameter(name, IntDistribution(0, 99)) for name in ("x", "y")))

# What a search waits before it looks again whether there is something to do.
_POLL_SECONDS = 0.5


@console.script()
def main() -> None:
    arguments = parse_arguments()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if missing := what_is_missing():
        sys.exit(f"this needs {missing}")
    gc.freeze()  # what was imported is not looked at again, so that the workers share its memory
    numbers = tqdm(arguments.workers, desc="workers", disable=not sys.stderr.isatty())
    with running_server(max_connections=2 * max(arguments.workers) + 20) as server:
        rows = [measure(server, number, arguments.trials) for number in numbers]
    table = pd.DataFrame(rows)
    text = f"{markdown([table, *table.to_numpy(dtype=object)])}\n{circumstances()}\n"
    print(text)
    if arguments.results:
        marked_block.write(arguments.results, "workers", text)
    if table[["lost", "run twice", "too many"]].to_numpy().any():
        sys.exit("the study is not exact")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--results", type=Path, help="also put the table into this Markdown file")
    return parser.parse_args()


def measure(server: Server, num_workers: int, n_trials: int) -> dict[str, Any]:
    """One study, by so many workers."""
    name = f"{num_workers} workers"
    context = multiprocessing.get_context("fork")  # imports once for all; each opens the database itself
    begin = context.Event()
    with tempfile.TemporaryDirectory(prefix="workers_") as folder:
        optuna.create_study(study_name=name, storage=open_storage(server.url, Path(folder)))
        ready = context.Semaphore(0)
        workers = [
            context.Process(target=work, args=(server.url, name, Path(folder) / str(number), n_trials, ready, begin))
            for number in range(num_workers)
        ]
        for worker in workers:
            worker.start()
        for _ in workers:
            while not ready.acquire(timeout=5):
                if not all(other.is_alive() for other in workers):
                    raise RuntimeError("a worker has died before its first trial")
        began = time.time()
        begin.set()
        for worker in workers:
            worker.join()
        trials = optuna.load_study(study_name=name, storage=server.url).get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    points = {tuple(sorted(trial.params.items())) for trial in complete}
    seconds = max(trial.datetime_complete.timestamp() for trial in complete if trial.datetime_complete) - began
    return {
        "workers": num_workers,
        "trials": n_trials,
        "trials/s": f"{len(complete) / seconds:.1f}",
        "lost": max(0, n_trials - len(points)) + sum(not trial.state.is_finished() for trial in trials),
        "run twice": len(complete) - len(points),
        "too many": max(0, len(complete) - n_trials),
        "given back": sum(trial.user_attrs.get("retry") is False for trial in trials),
        "workers that died": sum(worker.exitcode != 0 for worker in workers),
    }


def work(url: str, name: str, folder: Path, n_trials: int, ready: Any, begin: Event) -> None:
    """Claim trials and end them, as a search's loop does, until there are enough."""
    folder.mkdir()
    study = optuna.load_study(study_name=name, storage=open_storage(url, folder))
    ledger = Ledger(study, _SPACE, folder, n_trials, is_shared=True)
    study.sampler = DistinctSampler(lambda seed: RandomSampler(seed=seed), None, _SPACE, ledger.is_seen)
    dice = random.Random(folder.name)
    ledger.refresh()
    ready.release()
    begin.wait()
    while ledger.counts.finished < n_trials:
        claim = ledger.claim(0)
        if claim is None:
            time.sleep(dice.uniform(0.5, 1.0) * _POLL_SECONDS)
        else:
            ledger.finish(claim.number, Outcome("COMPLETE", [dice.random()]))
        ledger.refresh()
    ledger.leave()


def circumstances() -> str:
    command = shlex.join(["python", "scripts/worker_benchmark.py", *sys.argv[1:]])
    machine = (
        f"{device_name('cpu').partition(',')[0]}, {usable_cores()} cores, load {os.getloadavg()[0]:.1f} at the end"
    )
    return f"`{command}`; {machine}; Python {platform.python_version()}, optuna {optuna.__version__}, PostgreSQL here."


if __name__ == "__main__":
    main()
