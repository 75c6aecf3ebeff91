"""Report on a hyper-parameter study, finished or still running.

    python scripts/report.py outputs/sweeps/<study>
    python scripts/report.py outputs/sweeps/<study> --top 30 --no-figures

Prints the leaderboard and the best trial's commands; writes leaderboard.csv, leaderboard.md, best_experiment.yaml,
figures/ and, for studies over seeds, seeds.csv and seeds.md into the sweep folder. Changes nothing in the study.
"""

import argparse
import sys
from pathlib import Path

from cnnlab.errors import UserError


def main() -> None:
    arguments = parse_arguments()
    from cnnlab.reports.sweep_report import write

    try:
        print(write(arguments.folder, arguments.top, arguments.figures))
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the sweep folder, outputs/sweeps/<study>")
    parser.add_argument("--top", type=positive, default=10, metavar="N", help="rows to print (default 10)")
    parser.add_argument("--no-figures", dest="figures", action="store_false", help="tables only")
    return parser.parse_args()


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {number}")
    return number


if __name__ == "__main__":
    main()
