"""Paired comparisons: the numbers of scipy and of the paper's formula, and what cannot be paired."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from scipy import stats

from cnnlab.errors import UserError
from cnnlab.workbench.run_reports.paired import compare, paired_test

A = [0.91, 0.93, 0.90, 0.96, 0.92]
B = [0.90, 0.91, 0.91, 0.92, 0.90]


def make(
    folder: Path,
    values: list[float],
    folds: list[int] | None = None,
    seeds: list[int] | None = None,
    checksum: str = "1",
    dataset: str = "mnist",
    **settings: Any,
) -> Path:
    """Finished runs by hand, one for each value."""
    for i, value in enumerate(values):
        data = settings | ({} if folds is None else {"fold": folds[i], "num_folds": 5})
        seed = seeds[i] if seeds else 0 if folds else i
        run = folder / str(i)
        (run / ".hydra").mkdir(parents=True)
        config = {"seed": seed, "monitor": "val/accuracy", "model": {"_target_": folder.name}, "data": data}
        (run / ".hydra/config.yaml").write_text(yaml.safe_dump(config))
        (run / "environment.json").write_text(json.dumps({"data_checksums": {"file": checksum}}))
        metrics = {"dataset": dataset, "seed": seed, "val/accuracy": value, "val/loss": 1 - value}
        (run / "metrics.json").write_text(json.dumps(metrics))
    return folder


def test_the_plain_test_is_that_of_scipy() -> None:
    test = paired_test([a - b for a, b in zip(A, B, strict=True)])
    expected = stats.ttest_rel(A, B)
    assert (test.t, test.p, test.num_free) == pytest.approx((expected.statistic, expected.pvalue, 4))
    assert (test.low, test.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_the_correction_by_hand() -> None:
    """Nadeau & Bengio (2003): the variance of the mean is (1/n + n_test/n_train) times that of the differences."""
    plain, corrected = paired_test([1.0, 2.0, 3.0, 4.0, 5.0]), paired_test([1.0, 2.0, 3.0, 4.0, 5.0], 1 / 4)
    assert corrected.mean == plain.mean == 3
    assert corrected.t == pytest.approx(3 / math.sqrt((1 / 5 + 1 / 4) * 2.5))
    assert corrected.high - corrected.mean == pytest.approx(2.776445 * math.sqrt(0.45 * 2.5), rel=1e-6)
    assert corrected.p > plain.p


@pytest.mark.slow
def test_the_power_is_about_what_simulated_experiments_find() -> None:
    generator = stats.norm(0, 1)
    samples = generator.rvs((4000, 10), random_state=0)
    found = 0
    for sample in samples:
        difference = paired_test((sample - sample.mean()).tolist()).detectable * 1.0
        found += stats.ttest_1samp(sample + difference, 0).pvalue < 0.05
    assert found / len(samples) == pytest.approx(0.8, abs=0.06)


def test_seeds(tmp_path: Path) -> None:
    text = compare(make(tmp_path / "a", A), make(tmp_path / "b", B)).splitlines()
    assert text[2:5] == ["val/accuracy on mnist", "", "seed       A       B    A - B"]
    assert text[6] == "   1  0.9300  0.9100   0.0200"
    assert "A - B: 0.016 ± 0.018 (mean ± standard deviation of 5 pairs)" in text
    assert "paired t-test: 95 % confidence interval -0.007 to 0.039, t(4) = 1.97, p = 0.12" in text
    assert "no difference is shown, which does not say that there is none" in text
    assert not any("folds" in line for line in text)


def test_folds_are_corrected_and_several_seeds_of_one_count_once(tmp_path: Path) -> None:
    text = compare(make(tmp_path / "a", A, [0, 1, 2, 3, 4]), make(tmp_path / "b", B, [0, 1, 2, 3, 4]))
    assert "paired t-test: 95 % confidence interval -0.007 to 0.039" in text
    assert "corrected for folds: 95 % confidence interval -0.018 to 0.050, t(4) = 1.31, p = 0.26" in text
    folds, seeds = [0, 0, 1, 1, 2, 2], [0, 1] * 3
    twice = [make(tmp_path / name, [*values, 0.9], folds, seeds) for name, values in (("c", A), ("d", B))]
    text = compare(*twice)
    assert "(mean ± standard deviation of 3 folds, of 6 pairs)" in text
    assert "t(2) = " in text


def test_a_clear_difference_and_another_metric(tmp_path: Path) -> None:
    better = make(tmp_path / "a", [value + 0.2 for value in A])
    assert "\nA is higher\n" in compare(better, make(tmp_path / "b", B))
    assert "\nB is higher\n" in compare(better, tmp_path / "b", "val/loss")


def test_differences_that_are_all_equal_are_not_tested(tmp_path: Path) -> None:
    text = compare(make(tmp_path / "a", A), make(tmp_path / "b", [value - 0.1 for value in A]))
    assert text.endswith("no test: it needs at least two differences that are not all equal")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"values": A[:3]}, "runs are compared in pairs of the same seed and fold; only A has seed 3, seed 4"),
        ({"values": A, "folds": [0, 1, 2, 3, 4]}, "runs are compared in pairs .*; only A has seed 0, seed 1, .*"),
        ({"values": A, "dataset": "kmnist"}, "runs of the same data are compared, got mnist in A and kmnist in B"),
        ({"values": A, "checksum": "2"}, "runs of the same data are compared, but the files of mnist are others .*"),
        ({"values": A, "val_size": 9}, "runs are compared on the same samples, got data.val_size=None in A and 9 in B"),
        ({"values": A, "seeds": [0, 1, 2, 3, 3]}, ".*b holds two runs of seed 3: .*b/. and .*b/."),
        ({"values": []}, "no folder .*b.*"),
    ],
)
def test_what_cannot_be_paired(other: dict[str, Any], message: str, tmp_path: Path) -> None:
    make(tmp_path / "a", A)
    make(tmp_path / "b", **other)
    with pytest.raises(UserError, match=f"^{message}$"):
        compare(tmp_path / "a", tmp_path / "b")


def test_runs_that_are_missing_or_differ_or_lack_the_metric(tmp_path: Path) -> None:
    a, b = make(tmp_path / "a", A), make(tmp_path / "b", B)
    with pytest.raises(UserError, match=r"a/0 has no number val/acuracy; it has val/accuracy, val/loss; did you mean "):
        compare(a, b, "val/acuracy")
    one = [make(tmp_path / "one" / name, A[:1]) for name in "ab"]
    with pytest.raises(UserError, match="at least two pairs of runs, got 1"):
        compare(*one)
    (b / "3/metrics.json").unlink()
    with pytest.raises(UserError, match="b/3 is interrupted; the command that made .*b finishes what is missing"):
        compare(a, b)
    with pytest.raises(UserError, match="one holds runs that differ in more than seed and fold"):
        compare(tmp_path / "one", a)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty holds no runs; python scripts/seeds.py --out"):
        compare(tmp_path / "empty", a)
