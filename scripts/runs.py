"""List the runs on disk, and delete those that are no longer wanted.

    python scripts/runs.py
    python scripts/runs.py outputs/sweeps/tinyvgg --sort accuracy
    python scripts/runs.py --delete --state interrupted

The newest stands last. Nothing is deleted without a yes, and never a run that is still going on.
"""

import argparse
import contextlib
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from cnnlab.cli import console
from cnnlab.errors import UserError
from cnnlab.runs.atomic import write_atomically
from cnnlab.runs.locks import locked
from cnnlab.workbench.run_reports.run_table import (
    STATES,
    Run,
    as_csv,
    by_accuracy,
    by_age,
    find,
    read,
    runs_table,
    shown_size,
    state_of,
)

DEFAULT_FOLDERS = [Path("outputs/runs"), Path("outputs/multiruns"), Path("outputs/seeds")]
MAKE_ONE = "python train.py makes one"
SORTS = {"age": by_age, "accuracy": by_accuracy}
OF_A_SEARCH = ("study.journal", "optimization_results.yaml", ".controllers")  # beside the folders of its trials
OF_A_GRID = "multirun.yaml"  # what Hydra leaves beside the runs of a grid


@console.script()
def main() -> None:
    arguments = parse_arguments()
    folders = arguments.folders or [folder for folder in DEFAULT_FOLDERS if folder.is_dir()]
    runs = [read(folder) for folder in find(folders)]
    runs = sorted((run for run in runs if arguments.state in (None, run.state)), key=SORTS[arguments.sort])
    if arguments.csv:
        write_atomically(arguments.csv, as_csv(runs))
    if not runs:
        places = ", ".join(map(str, arguments.folders or DEFAULT_FOLDERS))
        print(f"No {arguments.state} runs in {places}" if arguments.state else f"No runs in {places}: {MAKE_ONE}")
        return
    print(runs_table(runs, shutil.get_terminal_size().columns))
    if arguments.delete:
        delete(runs, folders, arguments.yes)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = ", ".join(map(str, DEFAULT_FOLDERS))
    parser.add_argument("folders", nargs="*", type=Path, help=f"run folders or folders of them (default {default})")
    parser.add_argument("--sort", choices=list(SORTS), default="age", help="newest or most accurate last (default age)")
    parser.add_argument("--state", choices=STATES, help="only these")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write the table, with full numbers")
    parser.add_argument("--delete", action="store_true", help="delete what is listed, after asking")
    parser.add_argument("--yes", action="store_true", help="with --delete: do not ask")
    arguments = parser.parse_args()
    if arguments.yes and not arguments.delete:
        parser.error("--yes is for --delete")
    return arguments


def delete(runs: list[Run], roots: Iterable[Path], is_agreed: bool) -> None:
    """Ask, then delete the runs' folders and what is left of a grid below one of `roots` without them."""
    refuse_trials(runs)
    num_running = sum(run.state == "running" for run in runs)
    if num_running:
        print(f"\n{num_running} still running: not to be deleted.")
        runs = [run for run in runs if run.state != "running"]
    if not runs:
        return
    what = f"{len(runs)} folders" if len(runs) > 1 else "folder"
    size = shown_size(sum(run.size for run in runs))
    if not (is_agreed or agrees(f"\nDelete {'these' if len(runs) > 1 else 'this'} {what} ({size})? [y/N] ")):
        print("Nothing was deleted.")
        return
    deleted = [run for run in runs if delete_run(run)]
    for folder in {run.folder.parent for run in deleted}:
        remove_emptied(folder, roots)
    print(f"Deleted {len(deleted)} of {len(runs)} ({shown_size(sum(run.size for run in deleted))}).")
    if len(deleted) < len(runs):
        sys.exit(1)


def refuse_trials(runs: Iterable[Run]) -> None:
    for run in runs:
        sweep = run.folder.absolute().parent
        if any((sweep / name).exists() for name in OF_A_SEARCH):
            raise UserError(f"{run.folder} is a trial of a search, which needs it; delete the whole of {sweep} by hand")


def agrees(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UserError("nothing was deleted, for there is no terminal to ask at; --yes deletes without asking")
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print()
        raise UserError("nothing was deleted, for there was no answer") from None


def delete_run(run: Run) -> bool:
    """Whether the folder could be deleted; its lock is held meanwhile, so that no run begins in it."""
    try:
        now = state_of(run.folder)  # the question may have stood there for long
        with locked(run.folder) as is_ours:
            if now != run.state or not is_ours:
                print(f"kept {run.folder}: it was {run.state} and is {now}", file=sys.stderr)
                return False
            shutil.rmtree(run.folder)
    except OSError as error:
        print(f"kept {run.folder}: {error}", file=sys.stderr)
        return False
    return True


def remove_emptied(folder: Path, roots: Iterable[Path]) -> None:
    """Remove a grid's folder below one of `roots` if nothing but Hydra's note of the grid is in it.

    Anything else stays: seeds.csv, for one, holds numbers that are nowhere else.
    """
    while any(root in folder.parents for root in roots):
        with contextlib.suppress(OSError):
            if [path.name for path in folder.iterdir()] == [OF_A_GRID]:
                (folder / OF_A_GRID).unlink()
            folder.rmdir()
        folder = folder.parent


if __name__ == "__main__":
    main()
