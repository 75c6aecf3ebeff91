"""Kill and interrupt searches at random moments, again and again, and check that their studies stay exact.

    python scripts/sweep_stress.py                      all parts, some minutes
    python scripts/sweep_stress.py kills --kills 100    kill -9 of the controller
    python scripts/sweep_stress.py interrupts           Ctrl-C
    python scripts/sweep_stress.py worker               kill -9 of one trial's process
    python scripts/sweep_stress.py together             several invocations on one study at once
    python scripts/sweep_stress.py group                SIGTERM to all processes of a job, the trials' too
    python scripts/sweep_stress.py hangup               the terminal is closed
    python scripts/sweep_stress.py hang                 a trial that hangs, also while it holds the interpreter
    python scripts/sweep_stress.py reports              kill -9 of the controller of trials that report without pause
    python scripts/sweep_stress.py disk                 the disk is full for some seconds (as root only)
    python scripts/sweep_stress.py database             PostgreSQL is started anew in the middle of a search
    python scripts/sweep_stress.py hosts                two hosts on one database, with long trials
    python scripts/sweep_stress.py --smoke              a few short trials of everything: does it work?

All searches are `python scripts/sweep_toy.py -m …`, looked at from outside: their exit status, the study as plain
Optuna reads it, the trials' folders, and the processes that are left. Linux only, for it looks into /proc.
Ends in a table; the exit status is 1 if anything in it failed.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import TrialState
from tqdm import tqdm

from cnnlab.cli import console
from stress_checks import GONE_WITHIN, Checks, check, in_state, results
from stress_of_stops import group, hang, hangup, reports
from stress_of_storage import database, disk, hosts
from toy_study import TOY, TRAINING, Process, ToyStudy, epochs_begun

# Seconds.
STOPPED_WITHIN = 15.0
LONGEST_PAUSE = 1.0

_POLL = 0.01
_PATIENCE = 600.0


@dataclass(frozen=True)
class Size:
    """How much of everything; times in seconds."""

    stops: int = 20
    repetitions: int = 10
    n_trials: int = 80
    seconds: tuple[float, float] = (0.1, 1.0)
    latest_stop: float = 1.2
    worker_trials: int = 16
    worker_seconds: float = 1.0
    invocations: int = 4
    together_trials: int = 50


SMOKE = Size(1, 1, 6, (0.1, 0.3), 0.4, worker_trials=5, worker_seconds=0.5, invocations=3, together_trials=8)


@console.script()
def main() -> None:
    arguments = parse_arguments()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    size = SMOKE if arguments.smoke else Size(arguments.kills, arguments.repetitions)
    tables = []
    with tempfile.TemporaryDirectory(prefix="sweep_stress_", ignore_cleanup_errors=True) as temporary:
        out = Path(temporary) if arguments.out is None else arguments.out
        for part in arguments.parts or PARTS:
            checks = Checks(judges_times=not arguments.smoke)
            PARTS[part](out / part, size, random.Random(f"{arguments.seed} {part}"), checks)
            tables.append(checks.table(part))
    table = pd.concat(tables)
    if table.empty:  # its only part was left out
        return
    print(table.to_string(index=False))
    if arguments.out is not None:
        table.to_csv(arguments.out / "checks.csv", index=False)
    sys.exit(0 if (table["result"] == "OK").all() else 1)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"any of {', '.join(PARTS)} (default all)")
    parser.add_argument("--kills", type=int, default=20, help="kills, and as many interrupts (default 20)")
    parser.add_argument("--repetitions", type=int, default=10, help="of all other parts (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (default 0)")
    parser.add_argument("--smoke", action="store_true", help="one of each, few and short; times are not judged")
    parser.add_argument("--out", type=Path, help="a new folder to keep the studies in (default: none is kept)")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(unknown)}: choose from {', '.join(PARTS)}")
    if arguments.out is not None and arguments.out.exists():
        parser.error(f"{arguments.out} exists")
    if not Path("/proc/self/environ").exists():
        parser.error("this needs Linux: it finds left-over processes in /proc")
    return arguments


# --- Parts ------------------------------------------------------------------------------------------------------------


def kills(folder: Path, size: Size, shuffle: random.Random, checks: "Checks") -> None:
    """kill -9 of the controller."""

    def kill(process: Process, study: ToyStudy) -> None:
        process.kill()
        process.wait()
        checks.at_most("last process gone after", study.seconds_until_gone(), GONE_WITHIN)

    stop_again_and_again(folder, size, shuffle, kill, checks)


def interrupts(folder: Path, size: Size, shuffle: random.Random, checks: "Checks") -> None:
    """Ctrl-C, which the terminal sends to all processes of its foreground group."""

    def interrupt(process: Process, study: ToyStudy) -> None:
        os.killpg(process.pid, signal.SIGINT)
        began = time.monotonic()
        status = process.wait(_PATIENCE)
        checks.at_most("stopped after", time.monotonic() - began, STOPPED_WITHIN)
        checks.at_most("last process gone after", study.seconds_until_gone(), GONE_WITHIN)
        checks.equal("exit status when stopped", status, 130)
        last_line = study.output().strip().splitlines()[-1]
        checks.equal("last line is the command to go on", "go on with:" in last_line and TOY.name in last_line, True)
        checks.equal("RUNNING trials left", in_state(study, TrialState.RUNNING), 0)

    stop_again_and_again(folder, size, shuffle, interrupt, checks)


def stop_again_and_again(
    folder: Path,
    size: Size,
    shuffle: random.Random,
    stop: Callable[[Process, ToyStudy], None],
    checks: "Checks",
) -> None:
    """Stop searches at random moments, each time followed by the same command; then let the last one end."""
    stops = num_studies = 0
    bar = tqdm(total=size.stops, desc=folder.name, disable=not sys.stderr.isatty())
    while stops < size.stops:
        low, high = size.seconds
        study = ToyStudy(folder / str(num_studies), size.n_trials, 2, [f"seconds=interval({low},{high})"])
        num_studies += 1
        finished: dict[int, tuple[Any, ...]] = {}
        is_over = False
        while not is_over:
            process = study.start()
            is_over = stops == size.stops or not runs_for(shuffle.uniform(0.0, size.latest_stop), process, study)
            if not is_over:
                stop(process, study)
                stops += 1
                bar.update()
            elif process.wait(_PATIENCE) != 0:
                print(study.output()[-2000:], file=sys.stderr)
            before, finished = finished, results(study)
            changed = sum(finished.get(number) != result for number, result in before.items())
            checks.equal("finished trials that changed later", changed, 0)
        checks.equal("exit status at the end", process.returncode, 0)
        check(study, checks)
    bar.close()
    checks.equal("stops", stops, size.stops)


def runs_for(seconds: float, process: Process, study: ToyStudy) -> bool:
    """Wait until so long after the first trial began; False if the search has ended by then."""
    while not study.has_begun_a_trial() and process.poll() is None:
        time.sleep(_POLL)
    time.sleep(seconds)
    return process.poll() is None


def worker(folder: Path, size: Size, shuffle: random.Random, checks: "Checks") -> None:
    """kill -9 of one trial's process, in the middle of a training whose score gets worse."""
    study = ToyStudy(folder, size.worker_trials, 2, [f"seconds={size.worker_seconds}", *TRAINING])
    process = study.start()
    while in_state(study, TrialState.COMPLETE) < 2 and process.poll() is None:
        time.sleep(_POLL)
    number = kill_newest_trial(study, process, shuffle.randint(3, 8))
    checks.equal("exit status at the end", process.wait(_PATIENCE), 0)
    trials = study.trials()
    killed = trials[number]
    checks.equal("the killed trial is marked as interrupted", bool(killed.user_attrs.get("interrupted")), True)
    retries = [trial for trial in trials if trial.user_attrs.get("retry_of") == number]
    checks.equal("retries of its point", len(retries), 1)
    checks.equal("retries that completed", sum(trial.state == TrialState.COMPLETE for trial in retries), 1)
    last = epochs_begun(study.folder / str(number))[-1]
    again = [max(0, last - epochs_begun(study.folder / str(trial.number))[0]) for trial in retries]
    checks.equal("finished epochs that were trained again", sum(again), 0)
    checks.equal("retries of another point", sum(trial.params != killed.params for trial in retries), 0)
    others = [trial for trial in trials if trial.user_attrs.get("slot") != killed.user_attrs["slot"]]
    checks.at_most("longest pause of the other slot", max(study.pauses(others)), LONGEST_PAUSE)
    check(study, checks)


def kill_newest_trial(study: ToyStudy, process: Process, epoch: int) -> int:
    """kill -9 of the newest trial once it has begun this many epochs, and return its number.

    On a busy machine a trial may end before it is looked at again: then it is the turn of the next.

    Raises:
        RuntimeError: if the search ends first.
    """
    while process.poll() is None:
        number, victim = max(study.workers().items(), default=(None, 0))
        if number is not None and len(epochs_begun(study.folder / str(number))) >= epoch:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                return number
        time.sleep(_POLL)
    raise RuntimeError(f"the search ended before one of its trials could be killed:\n{study.output()[-2000:]}")


def together(folder: Path, size: Size, shuffle: random.Random, checks: "Checks") -> None:
    """Several invocations of one command at once."""
    for repetition in tqdm(range(size.repetitions), desc="together", disable=not sys.stderr.isatty()):
        study = ToyStudy(folder / str(repetition), size.together_trials, 2, ["seconds=interval(0.0,0.05)"])
        processes = [study.start() for _ in range(size.invocations)]
        statuses = [process.wait(_PATIENCE) for process in processes]
        for status in statuses:
            checks.equal("exit status", status, 0)
        if any(statuses):
            print(study.output()[-2000:], file=sys.stderr)
        check(study, checks)


PARTS = {
    "kills": kills,
    "interrupts": interrupts,
    "worker": worker,
    "together": together,
    "group": group,
    "hangup": hangup,
    "hang": hang,
    "reports": reports,
    "disk": disk,
    "database": database,
    "hosts": hosts,
}


if __name__ == "__main__":
    main()
