"""The table over seeds: right numbers, one row per command."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from conftest import PROJECT


@pytest.fixture(scope="module")
def seeds() -> ModuleType:
    spec = importlib.util.spec_from_file_location("seeds", PROJECT / "scripts/seeds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def runs() -> pd.DataFrame:
    common = {"dataset": "mnist", "num_parameters": 7740, "epochs": 5, "device": "a CPU", "precision": "32-true"}
    numbers = {"val/accuracy": [0.98, 0.99, 1.0], "test/accuracy": [0.97, 0.97, 0.97]}
    times = {"train_seconds": [10.0, 20.0, 30.0], "images_per_second": [1000.0, 2000.0, 3000.0]}
    return pd.DataFrame({"seed": [0, 1, 2], **common, **numbers, **times})


def test_mean_and_sample_standard_deviation(seeds: ModuleType) -> None:
    row = seeds.summarise(runs(), "python train.py")
    assert row["val %"] == "99.00 ± 1.00"
    assert row["test %"] == "97.00 ± 0.00"
    assert row["train seconds"] == "20 ± 10"
    assert row["images/s"] == "2,000 ± 1,000"
    assert row["seeds"] == "0, 1, 2"


@pytest.mark.parametrize(("text", "expected"), [("0-4", [0, 1, 2, 3, 4]), ("0,3,7", [0, 3, 7]), ("5", [5])])
def test_seed_lists(text: str, expected: list[int], seeds: ModuleType) -> None:
    assert seeds.seed_list(text) == expected


def test_a_row_replaces_the_older_one_of_its_command(seeds: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text(f"# Before\n\n{seeds.BEGIN}\n{seeds.END}\n\nAfter\n", encoding="utf-8")
    seeds.update_results(path, seeds.summarise(runs(), "python train.py a"))
    seeds.update_results(path, seeds.summarise(runs(), "python train.py b"))
    better = runs().assign(**{"test/accuracy": 0.98})
    seeds.update_results(path, seeds.summarise(better, "python train.py a"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("| `python train.py a` |") for line in lines) == 1
    assert sum(line.startswith("| `python train.py b` |") for line in lines) == 1
    assert any(line.startswith("| `python train.py a` |") and "98.00 ± 0.00" in line for line in lines)
    assert (lines[0], lines[-1]) == ("# Before", "After")
