"""Kill whatever a search on two hosts consists of, one thing at a time, and see who ends when and what is lost.

    python scripts/host_kills.py --results RESULTS.md

A host is a process tree of scripts/sweep_toy.py with a folder of its own; both share a PostgreSQL that is started for
them (Debian's package postgresql and the driver psycopg). The last row needs Slurm too (munge, slurmctld, slurmd,
slurm-client), and root. Linux only. The exit status is 1 if anything was lost.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import TrialState
from tqdm import tqdm

import slurm_cluster
from cnnlab.cli import console
from cnnlab.workbench import marked_block
from cnnlab.workbench.notation import markdown
from postgresql_server import Server, running_server, what_is_missing
from stress_checks import in_state, is_finished
from toy_study import Process, ToyStudy

_N_TRIALS, _SECONDS, _DEAD_AFTER = 12, 2.0, 6.0
_SETTINGS = [f"seconds={_SECONDS}", f"hydra.sweeper.dead_after_seconds={_DEAD_AFTER}", "hydra/sweeper/sampler=random"]
_PATIENCE = 300.0
End = Callable[[Server, ToyStudy, Process], None]
_SBATCH = Path(__file__).parent / "cluster/slurm_sweep.sbatch"


@console.script()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="also put the table into this Markdown file")
    results = parser.parse_args().results
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if missing := what_is_missing():
        sys.exit(f"this needs {missing}")
    rows = []
    with running_server() as server, tempfile.TemporaryDirectory(prefix="host_kills_") as folder:
        for number, (what, end) in enumerate(tqdm(KILLS.items(), disable=not sys.stderr.isatty())):
            rows.append({"ended": what, **two_hosts(server, Path(folder) / str(number), f"kill{number}", end)})
        if missing := slurm_cluster.what_is_missing():
            print(f"scancel is left out: this needs {missing}")
        else:
            rows.append({"ended": "scancel of one task of two", **two_tasks(server, Path(folder) / "slurm")})
    table = pd.DataFrame(rows)
    found = f"{markdown([table, *table.to_numpy(dtype=object)])}\n"
    found += f"{_N_TRIALS} trials of {_SECONDS:g} s, two at a time; a silent host is dead after {_DEAD_AFTER:g} s."
    print(found)
    if results:
        marked_block.write(results, "host kills", found)
    if table[["lost", "run twice", "too many"]].to_numpy().any():
        sys.exit("the study is not exact")


def two_hosts(
    server: Server, folder: Path, name: str, end: Callable[[Server, ToyStudy, Process], None]
) -> dict[str, Any]:
    """Run a search on two hosts, end something of the first in mid-trial, and look at what is left."""
    victim, other = (ToyStudy(folder / host, _N_TRIALS, 2, _SETTINGS, server.url, name) for host in ("victim", "other"))
    processes = [victim.start(), other.start()]
    wait_until(lambda: victim.has_begun_a_trial() and other.has_begun_a_trial())
    time.sleep(_SECONDS / 2)
    began = time.monotonic()
    end(server, victim, processes[0])
    ended = [wait_for(process, began) for process in processes]
    gone = time.monotonic() - began + max(study.seconds_until_gone() for study in (victim, other))
    return {
        "its search": f"{ended[0]:.1f} s, status {processes[0].returncode}",
        "the other search": f"{ended[1]:.1f} s, status {processes[1].returncode}",
        "last process gone": f"{gone:.1f} s",
        **what_is_left(other),
    }


def wait_for(process: Process, began: float) -> float:
    process.wait(_PATIENCE)
    return time.monotonic() - began


def what_is_left(study: ToyStudy) -> dict[str, int]:
    trials = study.trials()
    points = [str(sorted(trial.params.items())) for trial in trials if is_finished(trial)]
    return {
        "trials": len(points),
        "lost": max(0, _N_TRIALS - len(set(points))) + in_state(study, TrialState.RUNNING, TrialState.WAITING),
        "run twice": len(points) - len(set(points)),
        "too many": max(0, len(points) - _N_TRIALS),
        "begun again": sum(bool(trial.user_attrs.get("interrupted")) for trial in trials),
    }


# --- What is ended ----------------------------------------------------------------------------------------------------


def kill_controller(server: Server, victim: ToyStudy, process: Process) -> None:
    process.kill()


def kill_trial(server: Server, victim: ToyStudy, process: Process) -> None:
    with suppress(ProcessLookupError):
        os.kill(max(victim.workers().items())[1], signal.SIGKILL)


def kill_host(server: Server, victim: ToyStudy, process: Process) -> None:
    send_to_all(victim, signal.SIGKILL)


def terminate(server: Server, victim: ToyStudy, process: Process) -> None:
    send_to_all(victim, signal.SIGTERM)


def restart_database(server: Server, victim: ToyStudy, process: Process) -> None:
    server.call("stop", "-m", "immediate")
    time.sleep(4)
    server.start()


def send_to_all(victim: ToyStudy, signum: int) -> None:
    for one in list(victim.processes()):
        with suppress(ProcessLookupError):
            os.kill(one, signum)


KILLS: dict[str, End] = {
    "the search's own process, kill -9": kill_controller,
    "the process of a trial, kill -9": kill_trial,
    "all processes of a host, kill -9": kill_host,
    "all processes of a host, SIGTERM": terminate,
    "the database, for 4 s": restart_database,
}


# --- Slurm ------------------------------------------------------------------------------------------------------------


def two_tasks(server: Server, folder: Path) -> dict[str, Any]:
    """The same with an array job of two tasks, of which one is cancelled."""
    (folder / "slurm").mkdir(parents=True)
    study = ToyStudy(folder / "study", _N_TRIALS, 2, _SETTINGS, server.url, "tasks")
    with slurm_cluster.running_slurm(folder / "slurm", num_cpus=4) as environment:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        everything = {**os.environ, **environment, **study.mark(), "PATH": path}

        def ask(*command: str) -> str:
            return subprocess.run(
                command, cwd=folder, env=everything, capture_output=True, text=True, check=True
            ).stdout.strip()

        def is_over(task: int) -> bool:
            return ask("squeue", "-h", "-r", "-t", "PD,R,CG", "-j", job, "-o", "%K").split().count(str(task)) == 0

        job = ask("sbatch", "--parsable", "--array=0-1", "--cpus-per-task=1", str(_SBATCH), *study.command()[1:])
        wait_until(lambda: len(study.workers()) == 4)
        time.sleep(_SECONDS / 2)
        began = time.monotonic()
        ask("scancel", f"{job}_0")
        ended = []
        for task in (0, 1):
            wait_until(lambda task=task: is_over(task))  # type: ignore[misc]
            ended.append(time.monotonic() - began)
        gone = ended[1] + study.seconds_until_gone()
    return {
        "its search": f"{ended[0]:.1f} s, cancelled",
        "the other search": f"{ended[1]:.1f} s",
        "last process gone": f"{gone:.1f} s",
        **what_is_left(study),
    }


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{shlex.join(sys.argv)}: waited for {_PATIENCE:g} s in vain")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
