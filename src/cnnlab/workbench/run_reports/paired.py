"""Whether one way of training is better than another: the same seeds or folds run both ways, tested in pairs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from cnnlab.errors import UserError, did_you_mean
from cnnlab.workbench.notation import aligned, decimals_of, shown_spread
from cnnlab.workbench.run_reports import run_table
from cnnlab.workbench.run_reports.comparison.finished_run import FinishedRun, first_few, identity, read, why_left_out

Repeat = tuple[int, int, str]  # see FinishedRun.repeat

# What decides which samples a score is of, beside the data set and the fold.
_SPLIT = ("data.num_folds", "data.val_size", "data.val_fraction", "data.test_fraction")
_LEVEL, _POWER = 0.05, 0.8


@dataclass(frozen=True)
class PairedTest:
    """A t-test of whether the mean of paired differences is 0.

    Attributes:
        low, high: the 95 % confidence interval of the mean.
        detectable: the true difference that such a test finds in 80 % of all cases, at the level of 5 %; the usual
            approximation by the sum of two quantiles of t.
    """

    mean: float
    t: float
    num_free: int
    p: float
    low: float
    high: float
    detectable: float


def paired_test(differences: Sequence[float], shared: float = 0.0) -> PairedTest:
    """Test at least two differences that are not all equal.

    Args:
        differences: of the pairs.
        shared: 0 where pairs are independent. The training sets of folds overlap, so that folds spread less than
            independent samples of data would. The corrected resampled t-test takes the variance of the mean as
            sd² · (1/n + shared), where `shared` is the number of samples scored on over that of samples trained on,
            1 / (folds - 1) (Nadeau & Bengio, Inference for the generalization error, Machine Learning 52, 2003).
    """
    n, mean = len(differences), float(np.mean(differences))
    error = float(np.std(differences, ddof=1)) * math.sqrt(1 / n + shared)
    t = stats.t(n - 1)
    half = t.isf(_LEVEL / 2) * error
    p = 2 * t.sf(abs(mean) / error)
    return PairedTest(
        mean, mean / error, n - 1, float(p), mean - half, mean + half, half + float(t.ppf(_POWER)) * error
    )


def compare(a: Path, b: Path, metric: str = "val/accuracy") -> str:
    """Pair the runs of two folders by seed and fold; return the table of pairs and the tests of their differences.

    Raises:
        UserError: saying why the runs cannot be paired, or lack the metric.
    """
    runs = {"A": _runs(a), "B": _runs(b)}
    _check_pairs(runs)
    values = {name: {key: _value(run, metric) for key, run in found.items()} for name, found in runs.items()}
    table = pd.DataFrame(values)
    table["A - B"] = table["A"] - table["B"]
    first = next(iter(runs["A"].values()))
    lines = [f"A  {a}", f"B  {b}", f"{metric} on {first.data}", "", _as_text(table, list(runs["A"].values())), ""]
    return "\n".join([*lines, *_verdict(table["A - B"], first)])


def _runs(folder: Path) -> dict[Repeat, FinishedRun]:
    """The runs in a folder, which must be finished and repeat each other, in the order of folds and seeds."""
    found = [run_table.read(path) for path in run_table.find([folder])]
    if not found:
        raise UserError(f"{folder} holds no runs; python scripts/seeds.py --out {folder} -- … makes some")
    for run in found:
        if reason := why_left_out(run):
            raise UserError(f"{run.folder} is {reason}; the command that made {folder} finishes what is missing")
    runs: dict[Repeat, FinishedRun] = {}
    for one in map(read, found):
        earlier = runs.setdefault(one.repeat, one)
        if identity(one) != identity(next(iter(runs.values()))):
            raise UserError(
                f"{folder} holds runs that differ in more than seed and fold; name the folder of one command"
            )
        if earlier is not one:
            raise UserError(f"{folder} holds two runs of {_named(one)}: {earlier.run.folder} and {one.run.folder}")
    return dict(sorted(runs.items()))


def _check_pairs(runs: dict[str, dict[Repeat, FinishedRun]]) -> None:
    """Raise UserError unless both have the same seeds and folds of the same samples."""
    a, b = runs["A"], runs["B"]
    for name, own, others in (("A", a, b), ("B", b, a)):
        if alone := [_named(run) for key, run in own.items() if key not in others]:
            raise UserError(f"runs are compared in pairs of the same seed and fold; only {name} has {first_few(alone)}")
    if len(a) < 2:
        raise UserError("a paired test needs at least two pairs of runs, got 1; run more seeds or folds")
    first, other = next(iter(a.values())), next(iter(b.values()))
    if first.data != other.data:
        raise UserError(f"runs of the same data are compared, got {first.data} in A and {other.data} in B")
    if first.checksums != other.checksums:
        raise UserError(f"runs of the same data are compared, but the files of {first.data} are others in A than in B")
    for key in _SPLIT:
        if first.settings.get(key) != other.settings.get(key):
            values = " and ".join(f"{run.settings.get(key)} in {name}" for name, run in (("A", first), ("B", other)))
            raise UserError(f"runs are compared on the same samples, got {key}={values}")


def _value(run: FinishedRun, metric: str) -> float:
    value = run.number(metric)
    if math.isnan(value):
        scores = [name for name in run.metrics if "/" in name]
        near = did_you_mean(metric, scores)
        raise UserError(f"{run.run.folder} has no number {metric}; it has {', '.join(scores)}{near}")
    return value


def _named(run: FinishedRun) -> str:
    return f"seed {run.seed}" if run.fold is None else f"fold {run.fold} with seed {run.seed}"


def _as_text(table: pd.DataFrame, runs: list[FinishedRun]) -> str:
    decimals = max(4, decimals_of([table["A - B"].std()]))
    has_folds = runs[0].fold is not None
    rows = [[*(["fold"] if has_folds else []), "seed", *table]]
    for run, values in zip(runs, table.to_numpy(), strict=True):
        rows.append([*([str(run.fold)] if has_folds else []), run.seed, *(f"{value:.{decimals}f}" for value in values)])
    return aligned(rows)


def _verdict(differences: pd.Series, first: FinishedRun) -> list[str]:
    """What the differences say, and what they cannot. Several seeds of a fold count as one difference, their mean."""
    num_runs = len(differences)
    if first.fold is not None:
        differences = differences.groupby(level=0).mean()
    n, deviation = len(differences), float(differences.std())
    unit = "pairs" if num_runs == n else f"folds, of {num_runs} pairs"
    digits = decimals_of([deviation])
    lines = [f"A - B: {shown_spread(differences.mean(), deviation, digits)} (mean ± standard deviation of {n} {unit})"]
    if n < 2 or np.ptp(differences) < 1e-9:
        return [*lines, "no test: it needs at least two differences that are not all equal"]
    values = differences.tolist()
    test = paired_test(values)
    lines.append(f"paired t-test: {_shown(test, digits)}")
    if first.fold is not None:
        test = paired_test(values, 1 / (first.settings.get("data.num_folds", n) - 1))
        lines.append(f"corrected for folds: {_shown(test, digits)}")
        lines.append(
            "the training samples of folds overlap, so the plain test is too sure; this is the corrected resampled "
            "t-test (Nadeau & Bengio, 2003)"
        )
    else:
        lines.append("all seeds are scored on the same samples: this tells of other seeds, not of other samples")
    if test.low <= 0 <= test.high:
        lines.append("no difference is shown, which does not say that there is none")
    else:
        lines.append(f"{'A' if test.mean > 0 else 'B'} is higher")
    lines.append(
        f"power: {n} differences that spread like these show a true difference of {test.detectable:.{digits}f} in "
        f"{_POWER * 100:.0f} % of such comparisons, smaller ones less often"
    )
    return lines


def _shown(test: PairedTest, digits: int) -> str:
    interval = f"95 % confidence interval {test.low:.{digits}f} to {test.high:.{digits}f}"
    return f"{interval}, t({test.num_free}) = {test.t:.2f}, p = {test.p:.2g}"
