"""Report on a run's test, or on a hyper-parameter study, finished or still running.

    python scripts/report.py latest
    python scripts/report.py outputs/runs/<run> --top 30
    python scripts/report.py outputs/sweeps/<study>
    python scripts/report.py outputs/sweeps/<study> --top 30 --no-figures
    python scripts/report.py outputs/sweeps/<study> --trial 7
    python scripts/report.py storage=postgresql://user@host/studies study_name=<study>

Of a run (latest: the one in outputs/runs that was started last) it prints accuracy, precision, recall and F1 of each
class, and which classes were taken for which; writes report.md and confusion_matrix.png to the run's
evaluation/<split>/.

Of a study it prints the leaderboard and the best trial's commands; writes leaderboard.csv, leaderboard.md,
best_experiment.yaml, figures/, report.html (all of it as one page) and, for studies over seeds, seeds.csv and seeds.md
into the sweep folder. With --trial it prints the commands of any trial and writes its recipe, trial_7_experiment.yaml.
Changes nothing in the study. With storage= it reads the study from its database on any machine, and writes to
outputs/reports/<study>; without study_name= it takes the only study, or lists all.
"""

import argparse
from pathlib import Path

from cnnlab.cli import console
from cnnlab.errors import UserError, did_you_mean
from cnnlab.overrides import is_name


@console.script()
def main() -> None:
    arguments = parse_arguments()
    # only: sweep
    if any(part.startswith("storage=") for part in arguments.folder):
        from cnnlab.workbench.study_reports import stored_study

        given = dict(part.partition("=")[::2] for part in arguments.folder)
        if unknown := set(given) - {"storage", "study_name"}:
            raise UserError(f"expected storage=… and study_name=…, got {', '.join(sorted(unknown))}")
        storage, name = given["storage"], given.get("study_name")
        print(stored_study.write(storage, name, arguments.top, arguments.figures, arguments.trial))
        return
    # end only
    if len(arguments.folder) > 1:
        raise UserError(f"expected one folder, got {' '.join(arguments.folder)}")
    print(report(Path(arguments.folder[0]), arguments.top, arguments.figures, arguments.trial))


def report(folder: Path, top: int, figures: bool, trial: int | None = None) -> str:
    """Write the files of the report and return what to print.

    Raises:
        UserError: the folder is neither a run's nor a study's, or holds nothing to report on.
    """
    if is_name(str(folder)):
        from cnnlab.runs.run_folder import find

        folder = find(folder)
    if not folder.is_dir():
        siblings = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise UserError(f"no folder {folder}{did_you_mean(folder.name, siblings)}")
    # only: workbench
    if (folder / ".hydra/config.yaml").is_file():
        if trial is not None:
            raise UserError(f"{folder} is a run; --trial chooses one of a sweep folder")
        from cnnlab.workbench.run_reports import run_report

        return run_report.write(folder, top, figures)
    # end only
    # only: sweep
    from cnnlab.workbench.study_reports import sweep_folder, sweep_report

    if any((folder / name).is_file() for name in (sweep_folder.RESULTS, "study.journal")):
        return sweep_report.write(folder, top, figures) if trial is None else sweep_report.write_trial(folder, trial)
    # end only
    raise UserError(
        f"{folder} is neither a run folder (it has no .hydra/config.yaml) nor a sweep folder"
        " (no optimization_results.yaml, no study.journal); name one in outputs/runs or outputs/sweeps, or say latest"
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="+", help="a run folder, latest, a sweep folder, or storage=… study_name=…")
    parser.add_argument(
        "--top", type=positive, default=10, metavar="N", help="trials or confused pairs to print (default 10)"
    )
    parser.add_argument("--trial", type=int, metavar="N", help="only this trial of a sweep: its commands and recipe")
    parser.add_argument("--no-figures", dest="figures", action="store_false", help="tables only, and no page")
    return parser.parse_args()


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {number}")
    return number


if __name__ == "__main__":
    main()
