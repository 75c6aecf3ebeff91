"""Compare finished runs: one table, and what accuracy costs in speed and size.

    python scripts/compare.py
    python scripts/compare.py outputs/multiruns/<date>_<time> latest
    python scripts/compare.py outputs/runs outputs/seeds outputs/sweeps/tinyvgg --out outputs/reports/tinyvgg

Runs that differ in nothing but the seed are one row, mean ± standard deviation. Writes comparison.csv (all numbers),
comparison.md, comparison_accuracy.png, comparison_speed.png and comparison_parameters.png. Rows are sorted by
validation; the test accuracy is only shown.
"""

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cnnlab.cli import console
from cnnlab.errors import UserError, joined_errors

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_FOLDER = Path("outputs/runs")
REPORTS = Path("outputs/reports")


@console.script()
def main() -> None:
    arguments = parse_arguments()
    write(arguments.runs, arguments.out, arguments.figures, arguments.format)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        default=[DEFAULT_FOLDER],
        help=f"run folders, folders of them, sweep folders, or latest (default {DEFAULT_FOLDER})",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"folder of the files (default {REPORTS}/comparison-<date>_<time>)"
    )
    parser.add_argument("--no-figures", dest="figures", action="store_false", help="tables only")
    parser.add_argument(
        "--format", choices=("png", "svg", "pdf"), default="png", help="svg or pdf: figures in that format too"
    )
    return parser.parse_args()


def write(runs: list[Path], out: Path | None, figures: bool, format: str = "png") -> None:
    """Print the table and write the files.

    Raises:
        UserError: a folder does not exist, or none holds a finished run.
    """
    from cnnlab.overrides import is_name
    from cnnlab.runs import run_folder
    from cnnlab.runs.atomic import write_atomically
    from cnnlab.runs.commands import short_path
    from cnnlab.workbench.canvas import also_saved_as, with_vectors
    from cnnlab.workbench.run_reports.comparison import panels, text
    from cnnlab.workbench.run_reports.comparison.compare import compare

    if out is not None and out.exists() and not out.is_dir():
        raise UserError(f"--out={out} is a file; expected a folder")
    if runs == [DEFAULT_FOLDER] and not DEFAULT_FOLDER.is_dir():
        raise UserError(f"no runs in {DEFAULT_FOLDER}; python train.py makes one")
    folders = [Path(short_path(run_folder.find(run))) if is_name(str(run)) else run.expanduser() for run in runs]
    compared = compare(folders)
    remarks = count_multiply_adds(compared.table)
    print(text.as_text(compared))
    files = {
        "comparison.csv": text.as_csv(compared).encode(),
        "comparison.md": text.as_markdown(compared).encode(),
    }
    if figures:
        with also_saved_as(format) as vectors:
            drawn, why_not = panels.figures(compared)
        files |= with_vectors(drawn, vectors, format)
        remarks += why_not
    if out is None:
        out = run_folder.claim(REPORTS / f"comparison-{datetime.now():%Y-%m-%d_%H-%M-%S}")
    for name, content in files.items():
        write_atomically(out / name, content)
    for remark in remarks:
        print(remark)
    print("\n" + "\n".join(short_path(out / name) for name in files))


def count_multiply_adds(table: "pd.DataFrame") -> list[str]:
    """Fill the table's column from the networks themselves; return what is to be said of those that cannot be built."""
    from cnnlab.saved_run import load_model
    from cnnlab.workbench.inspection.layers import inspect_model

    errors: dict[int, UserError] = {}
    for i, runs in table["runs"].items():
        folder = Path(runs.split("; ")[0])
        try:
            saved = load_model(folder)
            table.loc[i, "multiply_adds"] = float(inspect_model(saved.model, saved.data["input_shape"]).multiply_adds)
        except Exception as error:  # a network of another version, or one that is gone, must not hide all other numbers
            errors[table.loc[i, "row"]] = UserError(" ".join(str(error).split()))
    if not errors:
        return []
    return [
        f"multiply-adds not counted in row {', '.join(map(str, errors))}: {joined_errors(list(errors.values()), 1)}"
    ]


if __name__ == "__main__":
    main()
